-- Who may see what: parents their own, nobody anything else.
ALTER TABLE public.profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.children ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.projects ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.lesson_progress ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.achievements ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.user_achievements ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON public.profiles, public.children, public.projects, public.lesson_progress, public.achievements,
  public.user_achievements TO authenticated;

CREATE POLICY own_profile ON public.profiles FOR SELECT TO authenticated USING (id = auth.uid());
CREATE POLICY own_children ON public.children FOR SELECT TO authenticated USING (parent_id = auth.uid());
CREATE POLICY own_projects ON public.projects FOR SELECT TO authenticated
  USING (child_id IN (SELECT id FROM public.children WHERE parent_id = auth.uid()));
CREATE POLICY own_progress ON public.lesson_progress FOR SELECT TO authenticated
  USING (child_id IN (SELECT id FROM public.children WHERE parent_id = auth.uid()));
CREATE POLICY all_achievements ON public.achievements FOR SELECT TO authenticated USING (true);
CREATE POLICY own_achievements ON public.user_achievements FOR SELECT TO authenticated
  USING (child_id IN (SELECT id FROM public.children WHERE parent_id = auth.uid()));
