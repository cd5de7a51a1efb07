-- The durable state of gateways and settlement. Amounts are nano-credits in BIGINT, keys and hashes raw bytes, times Unix
-- milliseconds. The Postgres file of the same name differs only in the type of bytes and of the outbox's id.

-- One row per gateway key: every ledger transaction locks it first, so replicas that share the key take turns.
CREATE TABLE gateways (
    gateway BLOB NOT NULL PRIMARY KEY,
    commits BIGINT NOT NULL
);

CREATE TABLE api_keys (
    public_id  TEXT NOT NULL PRIMARY KEY,
    hash       BLOB NOT NULL,
    channel    BLOB NOT NULL,
    label      TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    revoked_ms BIGINT,
    limit_nc   BIGINT,
    charged_nc BIGINT NOT NULL
);
CREATE INDEX api_keys_by_channel ON api_keys (channel);

-- waiting counts the charged nonces above noted_nonce: they wait for a lower nonce that is still in flight.
CREATE TABLE channels (
    channel       BLOB NOT NULL PRIMARY KEY,
    consumer      BLOB NOT NULL,
    gateway       BLOB NOT NULL,
    charged_nc    BIGINT NOT NULL,
    next_nonce    BIGINT NOT NULL,
    noted_nonce   BIGINT NOT NULL,
    noted_cum_nc  BIGINT NOT NULL,
    waiting       BIGINT NOT NULL,
    settled_nc    BIGINT NOT NULL,
    settled_nonce BIGINT NOT NULL
);
CREATE INDEX channels_by_gateway ON channels (gateway);

-- Blocks of nonces [first, until) that one holder (a gateway process) may use.
CREATE TABLE nonce_leases (
    channel    BLOB NOT NULL,
    first      BIGINT NOT NULL,
    until      BIGINT NOT NULL,
    holder     TEXT NOT NULL,
    expires_ms BIGINT NOT NULL,
    PRIMARY KEY (channel, first)
);
CREATE INDEX nonce_leases_by_holder ON nonce_leases (holder);

-- Nonces [first, until) that will never be charged, except those already charged.
CREATE TABLE nonce_voids (
    channel BLOB NOT NULL,
    first   BIGINT NOT NULL,
    until   BIGINT NOT NULL,
    PRIMARY KEY (channel, first, until)
);

CREATE TABLE lines (
    gateway   BLOB NOT NULL,
    epoch     BIGINT NOT NULL,
    line_key  BLOB NOT NULL,
    container BLOB NOT NULL,
    stage     BIGINT NOT NULL,
    worker    BLOB NOT NULL,
    referrer  BLOB NOT NULL,
    next_seq  BIGINT NOT NULL,
    cum_nc    BIGINT NOT NULL,
    PRIMARY KEY (gateway, epoch, line_key)
);

CREATE TABLE receipts (
    receipt_id  TEXT NOT NULL PRIMARY KEY,
    request_id  TEXT NOT NULL UNIQUE,
    channel     BLOB NOT NULL,
    nonce       BIGINT NOT NULL,
    gateway     BLOB NOT NULL,
    epoch       BIGINT NOT NULL,
    worker      BLOB NOT NULL,
    line_key    BLOB NOT NULL,
    seq         BIGINT NOT NULL,
    price_nc    BIGINT NOT NULL,
    model       TEXT NOT NULL,
    container   BLOB NOT NULL,
    stage       BIGINT NOT NULL,
    referrer    BLOB NOT NULL,
    api_key     TEXT,
    receipt     BLOB NOT NULL,
    worker_sig  BLOB NOT NULL,
    gateway_sig BLOB NOT NULL,
    order_bytes BLOB NOT NULL,
    order_sig   BLOB NOT NULL,
    created_ms  BIGINT NOT NULL,
    UNIQUE (channel, nonce),
    -- settlement order; as line_key is a hash over the worker it is also what makes (gateway, epoch, line_key, seq) unique
    UNIQUE (gateway, epoch, worker, line_key, seq)
);

-- A row appears when its note becomes issuable; note and signature follow once the gateway has signed it.
CREATE TABLE notes (
    channel        BLOB NOT NULL,
    nonce          BIGINT NOT NULL,
    gateway        BLOB NOT NULL,
    charge_nc      BIGINT NOT NULL,
    cum_charged_nc BIGINT NOT NULL,
    note           BLOB,
    signature      BLOB,
    PRIMARY KEY (channel, nonce)
);
CREATE INDEX notes_unsigned ON notes (gateway, channel, nonce) WHERE signature IS NULL;

CREATE TABLE closed_epochs (
    gateway   BLOB NOT NULL,
    epoch     BIGINT NOT NULL,
    closed_ms BIGINT NOT NULL,
    PRIMARY KEY (gateway, epoch)
);

CREATE TABLE batches (
    gateway       BLOB NOT NULL,
    epoch         BIGINT NOT NULL,
    shard         BIGINT NOT NULL,
    status        TEXT NOT NULL,
    receipts_root BLOB NOT NULL,
    receipts_sum  BIGINT NOT NULL,
    n_receipts    BIGINT NOT NULL,
    lines_root    BLOB NOT NULL,
    lines_sum     BIGINT NOT NULL,
    n_lines       BIGINT NOT NULL,
    data_hash     BLOB NOT NULL,
    uri           TEXT NOT NULL,
    created_ms    BIGINT NOT NULL,
    updated_ms    BIGINT NOT NULL,
    PRIMARY KEY (gateway, epoch, shard)
);
CREATE INDEX batches_by_status ON batches (status, gateway, epoch, shard);

CREATE TABLE batch_lines (
    gateway      BLOB NOT NULL,
    epoch        BIGINT NOT NULL,
    shard        BIGINT NOT NULL,
    leaf         BIGINT NOT NULL,
    line         BLOB NOT NULL,
    leaf_hash    BLOB NOT NULL,
    credits_nc   BIGINT NOT NULL,
    claimed_ms   BIGINT,
    PRIMARY KEY (gateway, epoch, shard, leaf)
);

CREATE TABLE batch_receipts (
    gateway    BLOB NOT NULL,
    epoch      BIGINT NOT NULL,
    shard      BIGINT NOT NULL,
    leaf       BIGINT NOT NULL,
    receipt_id TEXT NOT NULL UNIQUE,
    leaf_hash  BLOB NOT NULL,
    price_nc   BIGINT NOT NULL,
    PRIMARY KEY (gateway, epoch, shard, leaf)
);

CREATE TABLE tx_outbox (
    id                      INTEGER PRIMARY KEY AUTOINCREMENT,
    kind                    TEXT NOT NULL,
    lane                    TEXT NOT NULL,
    idempotency_key         TEXT NOT NULL UNIQUE,
    intent                  BLOB NOT NULL,
    status                  TEXT NOT NULL,
    signature               BLOB,
    signed_tx               BLOB,
    last_valid_block_height BIGINT,
    attempts                BIGINT NOT NULL,
    cu_limit                BIGINT,
    cu_price                BIGINT,
    slot                    BIGINT,
    err                     TEXT,
    created_ms              BIGINT NOT NULL,
    updated_ms              BIGINT NOT NULL
);
CREATE INDEX tx_outbox_unresolved ON tx_outbox (lane, id) WHERE status NOT IN ('finalized', 'failed');

CREATE TABLE indexer_cursors (
    source    TEXT NOT NULL PRIMARY KEY,
    signature BLOB NOT NULL,
    slot      BIGINT NOT NULL
);

-- finalized is 0 while the row was only seen at the commitment "confirmed".
CREATE TABLE chain_events (
    signature   BLOB NOT NULL,
    ix_index    BIGINT NOT NULL,
    inner_index BIGINT NOT NULL,
    source      TEXT NOT NULL,
    slot        BIGINT NOT NULL,
    block_time  BIGINT,
    name        TEXT NOT NULL,
    account     BLOB NOT NULL,
    data        BLOB NOT NULL,
    finalized   BIGINT NOT NULL,
    PRIMARY KEY (signature, ix_index, inner_index)
);
CREATE INDEX chain_events_by_account ON chain_events (account, slot);
CREATE INDEX chain_events_provisional ON chain_events (source, slot) WHERE finalized = 0;
