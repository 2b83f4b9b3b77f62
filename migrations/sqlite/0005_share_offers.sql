-- Who offers shares to an account. The offers themselves are part of `accounts.claims`; triggers keep this in step with
-- them, whichever release writes. A row that is damaged offers nothing.

CREATE TABLE share_offers (
    exporter TEXT NOT NULL REFERENCES accounts (key),
    id TEXT NOT NULL,
    importer TEXT NOT NULL,
    PRIMARY KEY (exporter, id)
);

CREATE INDEX share_offers_importer ON share_offers (importer, exporter);

INSERT OR IGNORE INTO share_offers (exporter, id, importer)
SELECT accounts.key, json_extract(given.value, '$.id'), json_extract(given.value, '$.importer')
FROM accounts, json_each(CASE WHEN json_valid(accounts.claims) THEN accounts.claims ELSE '{}' END, '$.given') AS given
WHERE given.type = 'object';

CREATE TRIGGER share_offers_inserted AFTER INSERT ON accounts BEGIN
    INSERT OR IGNORE INTO share_offers (exporter, id, importer)
    SELECT NEW.key, json_extract(given.value, '$.id'), json_extract(given.value, '$.importer')
    FROM json_each(CASE WHEN json_valid(NEW.claims) THEN NEW.claims ELSE '{}' END, '$.given') AS given
    WHERE given.type = 'object';
END;

CREATE TRIGGER share_offers_changed AFTER UPDATE OF claims ON accounts BEGIN
    DELETE FROM share_offers WHERE exporter = NEW.key;
    INSERT OR IGNORE INTO share_offers (exporter, id, importer)
    SELECT NEW.key, json_extract(given.value, '$.id'), json_extract(given.value, '$.importer')
    FROM json_each(CASE WHEN json_valid(NEW.claims) THEN NEW.claims ELSE '{}' END, '$.given') AS given
    WHERE given.type = 'object';
END;
