-- Who offers shares to an account. The offers themselves are part of `accounts.claims`; triggers keep this in step with
-- them, whichever release writes. A row that is damaged offers nothing.

CREATE TABLE share_offers (
    exporter TEXT COLLATE "C" NOT NULL REFERENCES accounts (key),
    id TEXT COLLATE "C" NOT NULL,
    importer TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (exporter, id)
);

CREATE INDEX share_offers_importer ON share_offers (importer, exporter);

CREATE FUNCTION share_offers_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM share_offers WHERE exporter = NEW.key;
    BEGIN
        INSERT INTO share_offers (exporter, id, importer)
        SELECT NEW.key, given ->> 'id', given ->> 'importer'
        FROM json_array_elements(COALESCE(NEW.claims::json -> 'given', '[]'::json)) AS given
        WHERE given ->> 'id' IS NOT NULL AND given ->> 'importer' IS NOT NULL
        ON CONFLICT DO NOTHING;
    EXCEPTION WHEN data_exception THEN
        NULL;
    END;
    RETURN NULL;
END
$$;

CREATE TRIGGER share_offers_changed AFTER INSERT OR UPDATE OF claims ON accounts
FOR EACH ROW EXECUTE FUNCTION share_offers_follow();

-- Those that were made before.
UPDATE accounts SET claims = claims;
