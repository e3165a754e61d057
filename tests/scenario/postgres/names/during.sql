INSERT INTO public."user" SELECT n, 'during' FROM generate_series(100, 150) n;
