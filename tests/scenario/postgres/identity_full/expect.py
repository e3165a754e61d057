CONFIG = '[tables]\nexclude = ["public.no_columns"]\n'
EXCEPT = ["no_columns"]
