-- Triggers did their work at the source; on the target they must not do it again.
CREATE TABLE account (id int PRIMARY KEY, balance int, seen int DEFAULT 0);
CREATE TABLE audit (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id int, what text);
CREATE TABLE total (id int PRIMARY KEY, n int);
INSERT INTO total VALUES (1, 0);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.audit (account_id, what) VALUES (coalesce(NEW.id, OLD.id), TG_OP);
  UPDATE public.total SET n = n + 1;
  RETURN NULL;
END $$;
CREATE FUNCTION count_seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seen = NEW.seen + 1; RETURN NEW; END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON account FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER seen BEFORE INSERT OR UPDATE ON account FOR EACH ROW EXECUTE FUNCTION count_seen();
INSERT INTO account SELECT n, n FROM generate_series(1, 100) n;
