-- Who brought each consumer to a gateway: written with its first paid request there and never changed. A curator of 32 zero
-- bytes says that nobody did. The Postgres file of the same name differs only in the type of bytes.
CREATE TABLE referrals (
    gateway  BLOB NOT NULL,
    consumer BLOB NOT NULL,
    curator  BLOB NOT NULL,
    bound_ms BIGINT NOT NULL,
    PRIMARY KEY (gateway, consumer)
);

-- What each curator brought to a container lately.
CREATE INDEX lines_by_container ON lines (gateway, container, epoch);
