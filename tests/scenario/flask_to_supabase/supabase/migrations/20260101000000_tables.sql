-- The new model, as its own team wrote it: nothing here knows of the old one.
CREATE TYPE public.app_role AS ENUM ('parent', 'teacher', 'admin');
CREATE TYPE public.tier AS ENUM ('magic_workshop', 'innovation_lab', 'professional_studio');

CREATE TABLE public.profiles (
  id uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE,
  email text NOT NULL UNIQUE,
  username text NOT NULL,
  role public.app_role NOT NULL DEFAULT 'parent',
  is_active boolean NOT NULL DEFAULT true,
  referred_by uuid REFERENCES public.profiles,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE public.children (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  parent_id uuid NOT NULL REFERENCES public.profiles ON DELETE CASCADE,
  name text NOT NULL,
  age smallint NOT NULL CHECK (age BETWEEN 3 AND 18),
  tier public.tier NOT NULL,
  birthday date
);
CREATE TABLE public.projects (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  child_id uuid NOT NULL REFERENCES public.children ON DELETE CASCADE,
  title text NOT NULL,
  description text,
  data jsonb,
  is_public boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE public.lesson_progress (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  child_id uuid NOT NULL REFERENCES public.children ON DELETE CASCADE,
  lesson_id integer NOT NULL,
  score numeric(6, 2),
  completed boolean NOT NULL,
  UNIQUE (child_id, lesson_id)
);
CREATE TABLE public.achievements (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  slug text NOT NULL UNIQUE,
  name text NOT NULL,
  points smallint NOT NULL
);
CREATE TABLE public.user_achievements (
  child_id uuid NOT NULL REFERENCES public.children ON DELETE CASCADE,
  achievement_id uuid NOT NULL REFERENCES public.achievements ON DELETE CASCADE,
  awarded_at timestamptz NOT NULL,
  PRIMARY KEY (child_id, achievement_id)
);

-- Whoever signs up later gets a profile by this. It must not fire for users who come with theirs.
CREATE FUNCTION public.handle_new_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO public.profiles (id, email, username) VALUES (NEW.id, NEW.email, 'made by the trigger');
  RETURN NEW;
END $$;
CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.handle_new_user();
