-- What gateways keep of finished calls for drawn verifiers, sealed, and what became of the receipts that were drawn.

CREATE TABLE audit_material (
    receipt_hash BLOB NOT NULL PRIMARY KEY,
    expires_ms   BIGINT NOT NULL,
    sealed       BLOB NOT NULL
);
CREATE INDEX audit_material_by_expiry ON audit_material (expires_ms);

-- leased_ms: until then somebody works on it.
CREATE TABLE audits (
    gateway    BLOB NOT NULL,
    epoch      BIGINT NOT NULL,
    shard      BIGINT NOT NULL,
    draw       BIGINT NOT NULL,
    seed       BLOB NOT NULL,
    leaf       BIGINT NOT NULL,
    receipt_id TEXT NOT NULL,
    worker     BLOB NOT NULL,
    price_nc   BIGINT NOT NULL,
    state      TEXT NOT NULL,
    note       TEXT NOT NULL,
    leased_ms  BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (gateway, epoch, shard, draw)
);
CREATE INDEX audits_open ON audits (created_ms) WHERE state = 'open';

CREATE TABLE verdicts (
    gateway    BLOB NOT NULL,
    epoch      BIGINT NOT NULL,
    shard      BIGINT NOT NULL,
    draw       BIGINT NOT NULL,
    verifier   BLOB NOT NULL,
    verdict    BLOB NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (gateway, epoch, shard, draw, verifier)
);
