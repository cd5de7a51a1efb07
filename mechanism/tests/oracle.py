"""A second implementation of the mechanism's vector protocol, written from its specification alone, in Python's unbounded
integers. Draws requests from a seed and prints each with its answer, one JSON line a request:

    python3 oracle.py SEED CASES_PER_OPERATION
"""
import json
import random
import sys
from hashlib import sha256

U64 = 2**64 - 1
BPS = 10_000


class Refused(Exception):
    """One of the protocol's error words."""


def need(condition):
    if not condition:
        raise Refused("bad_input")


def cdiv(a, b):
    return -(-a // b)


def fits(*values):
    if any(value > U64 for value in values):
        raise Refused("overflow")
    return values[0] if len(values) == 1 else values


def digest(*parts):
    return sha256(b"".join(parts)).digest()


def le(value, size):
    return value.to_bytes(size, "little", signed=value < 0)


def strings(values):
    return [str(value) for value in values]


# --- reading the fields of `in` ---


def number(value, low=0, high=U64):
    need(isinstance(value, str))
    try:
        parsed = int(value)
    except ValueError:
        raise Refused("bad_input") from None
    need(str(parsed) == value and low <= parsed <= high)
    return parsed


def signed(value):
    return number(value, -(2**63), 2**63 - 1)


def small(value, high):
    need(isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= high)
    return value


def bps(value):
    return small(value, BPS)


def u8(value):
    return small(value, 255)


def u16(value):
    return small(value, 65_535)


def u32(value):
    return small(value, 2**32 - 1)


def raw(value, size=None):
    need(isinstance(value, str) and len(value) % 2 == 0 and all(c in "0123456789abcdef" for c in value))
    data = bytes.fromhex(value)
    need(size is None or len(data) == size)
    return data


def whole(values):
    need(isinstance(values, list) and len(values) == 6)
    shares = [bps(value) for value in values]
    need(sum(shares) == BPS)
    return shares


def items(value):
    need(isinstance(value, list))
    return value


# --- operations ---


def tick_prices(p0, n, ratio):
    prices = [p0]
    while len(prices) < n:
        prices.append(prices[-1] + max(1, prices[-1] * ratio // BPS))
    fits(*prices, 0)
    return prices


def ticks(i):
    p0, n, ratio = number(i["p0"]), u32(i["n"]), bps(i["ratio_bps"])
    need(p0 > 0 and 1 <= n <= 64)
    return {"ticks": strings(tick_prices(p0, n, ratio))}


def ema(i):
    old, obs, alpha = number(i["old"]), number(i["obs"]), bps(i["alpha_bps"])
    step = abs(obs - old) * alpha // BPS
    return {"value": str(fits(old + step if obs >= old else old - step))}


def clear(i):
    p0, ratio, headroom = number(i["p0"]), bps(i["ratio_bps"]), bps(i["headroom_bps"])
    cap, demand = [number(c) for c in items(i["cap"])], number(i["demand"])
    need(p0 > 0 and 1 <= len(cap) <= 64)
    prices = tick_prices(p0, len(cap), ratio)
    quantity, supply = cdiv(demand * (BPS + headroom), BPS), 0
    for index, units in enumerate(cap):
        supply += units
        if supply > quantity:
            return {"index": index, "price": str(prices[index])}
    return {"index": None, "price": None}


def next_base(i):
    base, floor, reserve = number(i["base"]), number(i["floor"]), number(i["reserve"])
    up, down = bps(i["up_bps"]), bps(i["dn_bps"])
    marginal = None if i["marginal"] is None else number(i["marginal"])
    need(floor <= reserve)
    high = base + max(1, base * up // BPS)
    low = base - max(1, base * down // BPS) if base > 1 else base
    wanted = high if marginal is None else min(high, max(low, marginal))
    return {"base": str(fits(max(floor, min(reserve, wanted))))}


def step_ask(i):
    ask, want, ceiling = number(i["ask"]), number(i["want"]), number(i["ceiling"])
    up, down = bps(i["up_bps"]), bps(i["dn_bps"])
    high = ask + max(1, ask * up // BPS)
    low = ask - max(1, ask * down // BPS) if ask > 0 else 0
    return {"ask": str(fits(min(ceiling, min(high, max(low, want)))))}


def route_weight(i):
    q, q_max, theta = u16(i["q"]), u16(i["q_max"]), u32(i["theta"])
    p, p_min = number(i["p"]), number(i["p_min"])
    need(0 < q <= q_max and 0 < p_min <= p and 1 <= theta <= 64)
    x = ((q * p_min) << 32) // (q_max * p)
    r = 1 << 32
    for bit in bin(theta)[2:]:
        r = r * r >> 32
        if bit == "1":
            r = r * x >> 32
    return {"weight": str(r * 2**20 >> 32)}


def price_stack(i):
    cost = number(i["c"])
    asks = [number(i[name]) for name in ("a_v", "a_o", "a_w")]
    beta, phi = bps(i["beta"]), bps(i["phi"])
    caps = [bps(i[name]) for name in ("k_v", "k_o", "k_w")]
    need(cost > 0 and beta + phi + sum(caps) < BPS)
    capped = set()
    while True:
        paid = sum(ask for r, ask in enumerate(asks) if r not in capped)
        price = cdiv((cost + paid) * BPS, BPS - beta - phi - sum(caps[r] for r in capped))
        more = {r for r in range(3) if r not in capped and asks[r] * BPS > caps[r] * price}
        if not more:
            break
        capped |= more
    eff = [caps[r] * price // BPS if r in capped else asks[r] for r in range(3)]
    fits(price, *eff)
    return {"price": str(price), "eff": strings(eff), "capped": [r in capped for r in range(3)]}


def split_bps(i):
    price, beta, phi = number(i["price"]), bps(i["beta"]), bps(i["phi"])
    eff = [number(e) for e in items(i["eff"])]
    need(len(eff) == 3 and price > 0)
    v, o, w = [e * BPS // price for e in eff]
    rest = BPS - v - o - w - beta - phi
    need(rest >= 0)
    return {"bps": [v, o, rest, beta, w, phi]}


def parts_of(amount, shares):
    parts = [amount * share // BPS for share in shares]
    parts[2] = amount - sum(part for r, part in enumerate(parts) if r != 2)
    return parts


def split_amount(i):
    return {"parts": strings(parts_of(number(i["amount"]), whole(i["bps"])))}


def lineage_split(i):
    amount, asks = number(i["amount"]), [number(ask) for ask in items(i["asks"])]
    need(1 <= len(asks) <= 8)
    total = sum(asks)
    shares = [ask * BPS // total if total else 0 for ask in asks[:-1]]
    shares.append(BPS - sum(shares))
    parts = [amount * share // BPS for share in shares[:-1]]
    parts.append(amount - sum(parts))
    return {"bps": shares, "parts": strings(parts)}


def leaf(data, value):
    return digest(b"\0", data, le(value, 8)), value


def above(left, right):
    return digest(b"\1", left[0], le(left[1], 8), right[0], le(right[1], 8)), fits(left[1] + right[1])


def levels(leaves):
    """All levels of the padded tree, leaves first."""
    size = 1
    while size < len(leaves):
        size *= 2
    pad = (digest(b"\2", b"waybill/empty"), 0)
    rows = [leaves + [pad] * (size - len(leaves))]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([above(row[k], row[k + 1]) for k in range(0, len(row), 2)])
    return rows


def leaves_of(i):
    return [leaf(raw(one["data"]), number(one["sum"])) for one in items(i["leaves"])]


def merkle_root(i):
    root = levels(leaves_of(i))[-1][0]
    return {"root": root[0].hex(), "sum": str(root[1])}


def merkle_proof(i):
    leaves, index = leaves_of(i), u32(i["index"])
    need(index < len(leaves))
    rows = levels(leaves)
    proof = [rows[h][(index >> h) ^ 1] for h in range(len(rows) - 1)]
    return {"leaf": leaves[index][0].hex(), "proof": [{"hash": h.hex(), "sum": str(s)} for h, s in proof]}


def merkle_verify(i):
    root, root_sum = raw(i["root"], 32), number(i["root_sum"])
    n, index = u32(i["n_leaves"]), u32(i["index"])
    node = leaf(raw(i["data"]), number(i["sum"]))
    proof = [(raw(one["hash"], 32), number(one["sum"])) for one in items(i["proof"])]
    ok, prefix, place = index < n and len(proof) == (n - 1).bit_length(), 0, index
    if ok:
        try:
            for sibling in proof:
                if place & 1:
                    prefix = fits(prefix + sibling[1])
                    node = above(sibling, node)
                else:
                    node = above(node, sibling)
                place >>= 1
            ok = node == (root, root_sum)
        except Refused:
            ok = False
    return {"ok": ok, "prefix": str(prefix if ok else 0)}


def audit_draw(i):
    seed, draw, total = raw(i["seed"], 32), u32(i["draw"]), number(i["total_nc"])
    need(total > 0)
    return {"x": str(int.from_bytes(digest(seed, le(draw, 4))[:16], "little") % total)}


def line_key(i):
    parts = raw(i["container"], 32), le(u8(i["stage"]), 1), raw(i["worker"], 32), raw(i["referrer"], 32)
    return {"hash": digest(b"AI-LK", *parts).hex()}


def message(*parts):
    data = b"".join(parts)
    return {"bytes": data.hex(), "sha256": sha256(data).hexdigest()}


def voucher_bytes(i):
    acked, cum = number(i["acked_nc"]), number(i["cum_nc"])
    need(acked <= cum)
    expires = signed(i["expires"]).to_bytes(8, "little", signed=True)
    head = b"AV", raw(i["domain"], 8), raw(i["channel"], 32), le(number(i["nonce"]), 8)
    return message(*head, le(acked, 8), le(cum, 8), expires, raw(i["ctx_hash"], 32))


def order_bytes(i):
    head = b"AD", raw(i["domain"], 8), raw(i["channel"], 32), le(number(i["nonce"]), 8)
    return message(*head, le(number(i["max_price_nc"]), 8), raw(i["ctx_hash"], 32))


def charge_note_bytes(i):
    charge, cum = number(i["charge_nc"]), number(i["cum_nc"])
    need(charge <= cum)
    head = b"AN", raw(i["domain"], 8), raw(i["channel"], 32), le(number(i["nonce"]), 8)
    return message(*head, le(charge, 8), le(cum, 8))


def receipt_bytes(i):
    flags, price, cum = u8(i["flags"]), number(i["price_nc"]), number(i["cum_nc"])
    start, end = number(i["t_start_ms"]), number(i["t_end_ms"])
    need(flags <= 15 and price <= cum and start <= end)
    hashes = ["gateway", "worker", "line_key", "artifact", "request_hash", "input_hash", "output_hash", "evidence_hash"]
    return message(
        b"AIRC\1", le(flags, 1), le(u16(i["det_class"]), 2), raw(i["domain"], 8), le(u32(i["epoch"]), 4), le(u32(i["seq"]), 4),
        *[raw(i[name], 32) for name in hashes],
        le(u32(i["units_in"]), 4), le(u32(i["units_out"]), 4), le(price, 8), le(cum, 8), le(start, 8), le(end, 8),
    )


def line_bytes(i):
    n = u32(i["n"])
    need(n > 0)
    keys = [raw(i[name], 32) for name in ("container", "worker", "referrer")]
    head = b"AILN\1", le(u8(i["stage"]), 1), b"\0\0", le(u32(i["epoch"]), 4), le(u32(i["index"]), 4)
    return message(*head, *keys, le(u32(i["first"]), 4), le(n, 4), le(number(i["credits_nc"]), 8))


def paid(want, balance, rate):
    delta_nc = min(want, balance * 10**9 // rate)
    return delta_nc, cdiv(delta_nc * rate, 10**9)


def settle_amount(i):
    settled, claim, ceiling = number(i["settled_nc"]), number(i["claim_cum_nc"]), number(i["ceiling_nc"])
    balance, rate = number(i["balance_aic"]), number(i["rate"])
    need(rate > 0)
    if claim <= settled:
        raise Refused("stale_claim")
    if claim > ceiling:
        raise Refused("above_ceiling")
    delta_nc, delta_aic = paid(claim - settled, balance, rate)
    return {"delta_nc": str(delta_nc), "delta_aic": str(delta_aic)}


def delegated_amount(i):
    now, expires, start = signed(i["now"]), signed(i["expires"]), signed(i["period_start"])
    period, limit, used = u32(i["period_s"]), number(i["limit_nc"]), number(i["used_nc"])
    settled, claim = number(i["settled_nc"]), number(i["claim_cum_nc"])
    balance, rate = number(i["balance_aic"]), number(i["rate"])
    need(period > 0 and rate > 0 and now >= start and used <= limit and min(now, expires, start) >= 0)
    if limit == 0 or now >= expires:
        raise Refused("inactive")
    if claim <= settled:
        raise Refused("stale_claim")
    periods = (now - start) // period
    if periods >= 1:
        start, used = start + periods * period, 0
    delta_nc, delta_aic = paid(min(claim - settled, limit - used), balance, rate)
    return {
        "delta_nc": str(delta_nc), "delta_aic": str(delta_aic), "period_start": str(start), "used_nc": str(used + delta_nc),
        "settled_nc": str(settled + delta_nc),
    }


def batch_take(i):
    vault_nc, vault_aic, lines = number(i["vault_nc"]), number(i["vault_aic"]), number(i["lines_sum_nc"])
    need(vault_nc > 0 and lines <= vault_nc)
    return {"batch_aic": str(fits(cdiv(lines * vault_aic, vault_nc)))}


def claim_amount(i):
    lines, batch, line, shares = number(i["lines_sum_nc"]), number(i["batch_aic"]), number(i["line_nc"]), whole(i["bps"])
    need(lines > 0 and line <= lines)
    aic = fits(line * batch // lines)
    return {"aic": str(aic), "parts": strings(parts_of(aic, shares))}


def vcg(i):
    alpha, reserve = [bps(a) for a in items(i["alpha"])], number(i["reserve"])
    bids = [(raw(b["id"]), number(b["bid"]), u16(b["q"])) for b in items(i["bids"])]
    need(1 <= len(alpha) <= 8 and all(a > 0 for a in alpha) and alpha == sorted(alpha, reverse=True))
    need(len(bids) <= 16 and len({b[0] for b in bids}) == len(bids) and all(5_000 <= b[2] <= 15_000 for b in bids))
    ranked = sorted((b for b in bids if b[1] >= reserve), key=lambda b: (-b[1] * b[2], b[0]))
    sold = min(len(alpha), len(ranked))
    alpha = alpha[:sold] + [0]
    slots = []
    for place in range(sold):
        bidder, _, q = ranked[place]
        pay = 0
        for j in range(place, sold):
            score = ranked[j + 1][1] * ranked[j + 1][2] if j + 1 < len(ranked) else 0
            pay += (alpha[j] - alpha[j + 1]) * max(score, reserve * q)
        slots.append({"id": bidder.hex(), "price": str(max(reserve, cdiv(pay, alpha[place] * q)))})
    fits(0, *[int(slot["price"]) for slot in slots])
    return {"slots": slots}


# --- drawing requests ---


class Draw:
    def __init__(self, seed):
        self.rng = random.Random(seed)

    def wide(self):
        """Any u64, every order of magnitude equally likely."""
        return self.rng.getrandbits(64) >> self.rng.randrange(64)

    def upto(self, bits):
        return self.rng.getrandbits(bits) >> self.rng.randrange(bits)

    def amount(self):
        return str(self.rng.choice([self.wide(), self.upto(40), self.upto(40), self.rng.choice([0, 1, U64, U64 - 1])]))

    def share(self):
        return self.rng.choice([self.rng.randrange(BPS + 1), self.rng.randrange(2_000), 0, BPS])

    def shares(self):
        cuts = sorted(self.rng.randrange(BPS + 1) for _ in range(5))
        return [b - a for a, b in zip([0] + cuts, cuts + [BPS])]

    def below(self, n):
        return self.rng.randrange(n)

    def hash(self):
        return self.rng.randbytes(32).hex()

    def many(self, low, high, one):
        return [one() for _ in range(self.rng.randint(low, high))]

    def ordered(self):
        return strings(sorted(int(self.amount()) for _ in range(2)))


def draw_leaves(d):
    return d.many(0, 12, lambda: {"data": d.rng.randbytes(d.below(40)).hex(), "sum": str(d.upto(60) if d.below(20) else U64)})


def draw_verify(d):
    """A proof as it should be, or with one thing wrong."""
    leaves = [{"data": d.rng.randbytes(5).hex(), "sum": str(d.upto(50))} for _ in range(1 + d.below(9))]
    rows = levels(leaves_of({"leaves": leaves}))
    index = d.below(len(leaves))
    proof = merkle_proof({"leaves": leaves, "index": index})["proof"]
    request = {
        "root": rows[-1][0][0].hex(), "root_sum": str(rows[-1][0][1]), "n_leaves": len(leaves), "index": index,
        "data": leaves[index]["data"], "sum": leaves[index]["sum"], "proof": proof,
    }
    wrong = d.below(8)
    if wrong == 1:
        request["index"] = d.below(12)
    elif wrong == 2:
        request["sum"] = str(int(request["sum"]) + 1)
    elif wrong == 3:
        request["n_leaves"] = d.below(12)
    elif wrong == 4 and proof:
        proof[d.below(len(proof))]["sum"] = str(U64)
    elif wrong == 5:
        proof.append({"hash": d.hash(), "sum": "0"})
    elif wrong == 6:
        request["root_sum"] = str(int(request["root_sum"]) + 1)
    return request


def draw_stack(d):
    c, asks = d.amount(), [d.amount() for _ in range(3)]
    caps = [d.below(3_500) for _ in range(3)]
    return dict(zip(["c", "a_v", "a_o", "a_w", "beta", "phi", "k_v", "k_o", "k_w"], [c, *asks, d.below(1_200), d.below(400), *caps]))


def draw_split(d):
    price = d.wide() | 1
    eff = strings(price * d.below(4_000) // BPS for _ in range(3)) if d.below(8) else [d.amount() for _ in range(3)]
    return {"price": str(price), "eff": eff, "beta": d.below(1_100), "phi": d.below(400)}


def draw_delegated(d):
    start, now = sorted([d.upto(40), d.upto(40)])
    used, limit = d.ordered()
    settled, claim = d.ordered() if d.below(6) else [d.amount(), d.amount()]
    return {
        "now": str(now if d.below(20) else -now), "expires": str(d.upto(44)), "period_s": d.upto(20), "period_start": str(start),
        "limit_nc": limit, "used_nc": used, "settled_nc": settled, "claim_cum_nc": claim, "balance_aic": d.amount(), "rate": d.amount(),
    }


def draw_receipt(d):
    names = ["gateway", "worker", "line_key", "artifact", "request_hash", "input_hash", "output_hash", "evidence_hash"]
    price, cum = d.ordered() if d.below(8) else [d.amount(), d.amount()]
    start, end = d.ordered() if d.below(8) else [d.amount(), d.amount()]
    small = {name: d.upto(32) for name in ("epoch", "seq", "units_in", "units_out")}
    return {
        "domain": d.rng.randbytes(8).hex(), "flags": d.below(18), "det_class": d.upto(16), **small, **{n: d.hash() for n in names},
        "price_nc": price, "cum_nc": cum, "t_start_ms": start, "t_end_ms": end,
    }


def draw_message(d, **fields):
    return {"domain": d.rng.randbytes(8).hex(), "channel": d.hash(), "nonce": d.amount(), **fields}


def draw_voucher(d):
    acked, cum = d.ordered() if d.below(8) else [d.amount(), d.amount()]
    return draw_message(d, acked_nc=acked, cum_nc=cum, expires=str(d.wide() - 2**63), ctx_hash=d.hash())


def draw_note(d):
    charge, cum = d.ordered() if d.below(8) else [d.amount(), d.amount()]
    return draw_message(d, charge_nc=charge, cum_nc=cum)


def draw_vcg(d):
    alpha = sorted((1 + d.below(BPS) for _ in range(1 + d.below(9))), reverse=bool(d.below(12)))
    size = d.rng.choice([20, 20, 40, 64])
    ids = [bytes([k]).hex() for k in d.rng.sample(range(256), d.below(18))]
    bids = [{"id": k, "bid": str(d.upto(size)), "q": 5_000 + d.below(10_001)} for k in ids]
    if len(bids) > 1 and not d.below(15):
        bids[0]["id"] = bids[1]["id"]
    return {"alpha": alpha, "reserve": str(d.upto(d.rng.choice([10, size]))), "bids": bids}


def draw_settle(d):
    settled, claim = d.ordered() if d.below(6) else [d.amount(), d.amount()]
    ceiling = str(max(int(claim), int(d.amount()))) if d.below(6) else d.amount()
    return {"settled_nc": settled, "claim_cum_nc": claim, "ceiling_nc": ceiling, "balance_aic": d.amount(), "rate": d.amount()}


def draw_route(d):
    p_min, p = d.ordered() if d.below(8) else [d.amount(), d.amount()]
    if d.below(2):
        p = str(min(U64, int(p_min) + int(p_min) * d.below(BPS) // BPS))
    q, q_max = sorted([d.upto(16), d.upto(16)])
    return {"q": q, "p": p, "q_max": q_max, "p_min": p_min, "theta": d.below(67)}


def draw_take(d):
    lines, vault = d.ordered() if d.below(8) else [d.amount(), d.amount()]
    return {"vault_nc": vault, "vault_aic": d.amount(), "lines_sum_nc": lines}


def draw_claim(d):
    line, lines = d.ordered() if d.below(8) else [d.amount(), d.amount()]
    shares = d.shares()
    if not d.below(12):
        shares[0] += 1
    return {"lines_sum_nc": lines, "batch_aic": d.amount(), "line_nc": line, "bps": shares}


OPERATIONS = {
    "ticks": (ticks, lambda d: {"p0": d.amount(), "n": d.below(67), "ratio_bps": d.share()}),
    "ema": (ema, lambda d: {"old": d.amount(), "obs": d.amount(), "alpha_bps": d.share()}),
    "clear": (clear, lambda d: {
        "p0": str(d.upto(30)), "ratio_bps": d.below(1_000), "cap": d.many(0, 66, lambda: str(d.upto(40))), "demand": str(d.upto(44)),
        "headroom_bps": d.share()}),
    "next_base": (next_base, lambda d: {
        "base": d.amount(), "marginal": d.rng.choice([None, d.amount()]), "floor": str(d.upto(20)), "reserve": d.amount(),
        "up_bps": d.share(), "dn_bps": d.share()}),
    "step_ask": (step_ask, lambda d: {
        "ask": d.amount(), "want": d.amount(), "up_bps": d.share(), "dn_bps": d.share(), "ceiling": d.amount()}),
    "route_weight": (route_weight, draw_route),
    "price_stack": (price_stack, draw_stack),
    "split_bps": (split_bps, draw_split),
    "split_amount": (split_amount, lambda d: {"amount": d.amount(), "bps": d.shares()}),
    "lineage_split": (lineage_split, lambda d: {"amount": d.amount(), "asks": d.many(0, 9, d.amount)}),
    "merkle_root": (merkle_root, lambda d: {"leaves": draw_leaves(d)}),
    "merkle_proof": (merkle_proof, lambda d: {"leaves": draw_leaves(d), "index": d.below(12)}),
    "merkle_verify": (merkle_verify, draw_verify),
    "audit_draw": (audit_draw, lambda d: {"seed": d.hash(), "draw": d.upto(32), "total_nc": d.amount()}),
    "line_key": (line_key, lambda d: {"container": d.hash(), "stage": d.below(256), "worker": d.hash(), "referrer": d.hash()}),
    "voucher_bytes": (voucher_bytes, draw_voucher),
    "order_bytes": (order_bytes, lambda d: draw_message(d, max_price_nc=d.amount(), ctx_hash=d.hash())),
    "charge_note_bytes": (charge_note_bytes, draw_note),
    "receipt_bytes": (receipt_bytes, draw_receipt),
    "line_bytes": (line_bytes, lambda d: {
        "stage": d.below(256), "epoch": d.upto(32), "index": d.upto(32), "container": d.hash(), "worker": d.hash(), "referrer": d.hash(),
        "first": d.upto(32), "n": d.upto(32), "credits_nc": d.amount()}),
    "settle_amount": (settle_amount, draw_settle),
    "delegated_amount": (delegated_amount, draw_delegated),
    "batch_take": (batch_take, draw_take),
    "claim_amount": (claim_amount, draw_claim),
    "vcg": (vcg, draw_vcg),
}


def spoil(d, request):
    """Sometimes one field is not what it should be: missing, of another type, or not the one spelling of its value."""
    if not d.below(25):
        name = d.rng.choice(list(request))
        bad = [None, True, -1, 1.5, [], {}, "", "x", "01", "+1", "-1", " 1", "1_0", 2**33, "18446744073709551616", "AB", "abc"]
        value = d.rng.choice(bad + ["missing"])
        if value == "missing":
            del request[name]
        else:
            request[name] = value
    return request


def answer(op, request):
    try:
        return {"out": OPERATIONS[op][0](request)}
    except KeyError:
        return {"error": "bad_input"}
    except Refused as refused:
        return {"error": str(refused)}


def main():
    seed, cases = int(sys.argv[1]), int(sys.argv[2])
    for op, (_, draw) in OPERATIONS.items():
        d = Draw(f"{seed}/{op}")
        for _ in range(cases):
            request = spoil(d, draw(d))
            print(json.dumps({"op": op, "in": request, **answer(op, request)}, separators=(",", ":")))


if __name__ == "__main__":
    main()
