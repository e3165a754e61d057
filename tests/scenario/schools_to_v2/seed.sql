-- What no table of the legacy model has.
INSERT INTO public.roles VALUES ('admin', 'School office'), ('teacher', 'Teacher'), ('parent', 'Parent'), ('student', 'Student');
