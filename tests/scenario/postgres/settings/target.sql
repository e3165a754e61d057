SELECT format('ALTER DATABASE %I SET %s', current_database(), setting) FROM unnest(ARRAY['datestyle = ''SQL, MDY''', 'intervalstyle = ''iso_8601''', 'timezone = ''America/St_Johns''',
  'extra_float_digits = -10', 'bytea_output = ''escape''', 'standard_conforming_strings = off', 'xmloption = ''document''', 'statement_timeout = ''5s''',
  'idle_in_transaction_session_timeout = ''5s''', 'lock_timeout = ''10ms''', 'default_transaction_isolation = ''repeatable read''', 'synchronous_commit = off', 'idle_session_timeout = ''500ms''',
  'search_path = ''pg_temp''', 'transform_null_equals = on', 'array_nulls = off', 'row_security = off', 'check_function_bodies = off']) setting \gexec
