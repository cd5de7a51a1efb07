//! The operations of the vector protocol: one `{"op":…,"in":{…}}` line in, one `{"out":{…}}` or `{"error":"…"}` line
//! out. u64 and larger values are canonical decimal strings, smaller ones JSON integers, bytes lower-case hex.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use waybill_mechanism::amount::AmountError;
use waybill_mechanism::channel::{ChannelError, Grant};
use waybill_mechanism::merkle::{self, MerkleError, Node, Tree};
use waybill_mechanism::message::{ChargeNote, Line, MessageError, Order, Receipt, Voucher, line_key};
use waybill_mechanism::stack::{StackInput, is_whole};
use waybill_mechanism::vcg::Bid;
use waybill_mechanism::{ask, audit, batch, channel, clearing, lineage, routing, stack, vcg};

/// The answer to one line of input, without its line break. Every line has one: what cannot be read is `bad_input`.
pub fn respond(line: &[u8]) -> String {
    match answer(line) {
        Ok(out) => serde_json::to_string(&Answered { out }).unwrap_or_else(|_| BAD_INPUT.to_json()),
        Err(refusal) => refusal.to_json(),
    }
}

/// An answer as it is written.
#[derive(Serialize)]
struct Answered {
    out: Out,
}

/// Named results, written in the order the protocol lists them.
struct Out(Vec<(&'static str, Value)>);

impl Serialize for Out {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// One of the protocol's error words.
struct Refusal(&'static str);

const BAD_INPUT: Refusal = Refusal("bad_input");

impl Refusal {
    fn to_json(&self) -> String {
        json!({ "error": self.0 }).to_string()
    }
}

impl From<AmountError> for Refusal {
    fn from(error: AmountError) -> Self {
        Refusal(match error {
            AmountError::BadInput => "bad_input",
            AmountError::Overflow => "overflow",
        })
    }
}

impl From<ChannelError> for Refusal {
    fn from(error: ChannelError) -> Self {
        Refusal(match error {
            ChannelError::BadInput => "bad_input",
            ChannelError::Inactive => "inactive",
            ChannelError::StaleClaim => "stale_claim",
            ChannelError::AboveCeiling => "above_ceiling",
        })
    }
}

impl From<MessageError> for Refusal {
    fn from(_: MessageError) -> Self {
        BAD_INPUT
    }
}

impl From<MerkleError> for Refusal {
    fn from(error: MerkleError) -> Self {
        match error {
            MerkleError::SumOverflow => Refusal("overflow"),
            _ => BAD_INPUT,
        }
    }
}

type Answer = Result<Out, Refusal>;

fn out<const N: usize>(fields: [(&'static str, Value); N]) -> Answer {
    Ok(Out(fields.into()))
}

fn answer(line: &[u8]) -> Answer {
    let Ok(Value::Object(request)) = serde_json::from_slice(line) else { return Err(BAD_INPUT) };
    let Some(Value::String(op)) = request.get("op") else { return Err(BAD_INPUT) };
    let run = match op.as_str() {
        "ticks" => ticks,
        "ema" => ema,
        "clear" => clear,
        "next_base" => next_base,
        "step_ask" => step_ask,
        "route_weight" => route_weight,
        "price_stack" => price_stack,
        "split_bps" => split_bps,
        "split_amount" => split_amount,
        "lineage_split" => lineage_split,
        "merkle_root" => merkle_root,
        "merkle_proof" => merkle_proof,
        "merkle_verify" => merkle_verify,
        "audit_draw" => audit_draw,
        "line_key" => line_key_of,
        "voucher_bytes" => voucher_bytes,
        "order_bytes" => order_bytes,
        "charge_note_bytes" => charge_note_bytes,
        "receipt_bytes" => receipt_bytes,
        "line_bytes" => line_bytes,
        "settle_amount" => settle_amount,
        "delegated_amount" => delegated_amount,
        "batch_take" => batch_take,
        "claim_amount" => claim_amount,
        "vcg" => vcg_slots,
        _ => return Err(Refusal("unknown_op")),
    };
    let Some(Value::Object(fields)) = request.get("in") else { return Err(BAD_INPUT) };
    run(In(fields))
}

/// The `in` object of a request, or an object nested in it.
#[derive(Clone, Copy)]
struct In<'a>(&'a Map<String, Value>);

impl<'a> In<'a> {
    fn get(self, name: &str) -> Result<&'a Value, Refusal> {
        self.0.get(name).ok_or(BAD_INPUT)
    }

    fn list(self, name: &str) -> Result<&'a [Value], Refusal> {
        self.get(name)?.as_array().map(Vec::as_slice).ok_or(BAD_INPUT)
    }

    fn objects(self, name: &str) -> Result<Vec<In<'a>>, Refusal> {
        self.list(name)?.iter().map(|value| value.as_object().map(In).ok_or(BAD_INPUT)).collect()
    }

    fn u64(self, name: &str) -> Result<u64, Refusal> {
        decimal(self.get(name)?)
    }

    fn i64(self, name: &str) -> Result<i64, Refusal> {
        decimal(self.get(name)?)
    }

    fn u64s(self, name: &str) -> Result<Vec<u64>, Refusal> {
        self.list(name)?.iter().map(decimal).collect()
    }

    /// `null` is `None`; a missing field is an error.
    fn optional_u64(self, name: &str) -> Result<Option<u64>, Refusal> {
        let value = self.get(name)?;
        if value.is_null() { Ok(None) } else { decimal(value).map(Some) }
    }

    fn small<T: TryFrom<u64>>(self, name: &str) -> Result<T, Refusal> {
        integer(self.get(name)?)
    }

    fn smalls<T: TryFrom<u64>>(self, name: &str) -> Result<Vec<T>, Refusal> {
        self.list(name)?.iter().map(integer).collect()
    }

    fn shares(self) -> Result<[u16; 6], Refusal> {
        let bps = <[u16; 6]>::try_from(self.smalls("bps")?).map_err(|_| BAD_INPUT)?;
        if is_whole(&bps) { Ok(bps) } else { Err(BAD_INPUT) }
    }

    fn bytes(self, name: &str) -> Result<Vec<u8>, Refusal> {
        let text = self.get(name)?.as_str().ok_or(BAD_INPUT)?;
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(BAD_INPUT);
        }
        hex::decode(text).map_err(|_| BAD_INPUT)
    }

    fn fixed<const N: usize>(self, name: &str) -> Result<[u8; N], Refusal> {
        self.bytes(name)?.try_into().map_err(|_| BAD_INPUT)
    }
}

/// A canonical decimal string: what formatting the number gives back.
fn decimal<T: std::str::FromStr + ToString>(value: &Value) -> Result<T, Refusal> {
    let text = value.as_str().ok_or(BAD_INPUT)?;
    let number: T = text.parse().map_err(|_| BAD_INPUT)?;
    if number.to_string() == text { Ok(number) } else { Err(BAD_INPUT) }
}

fn integer<T: TryFrom<u64>>(value: &Value) -> Result<T, Refusal> {
    value.as_u64().and_then(|number| T::try_from(number).ok()).ok_or(BAD_INPUT)
}

fn text(number: u64) -> Value {
    Value::String(number.to_string())
}

fn hex_text(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(hex::encode(bytes))
}

fn texts(numbers: &[u64]) -> Value {
    numbers.iter().copied().map(text).collect()
}

fn ticks(i: In) -> Answer {
    let ticks = clearing::ticks(i.u64("p0")?, i.small("n")?, i.small("ratio_bps")?)?;
    out([("ticks", texts(&ticks))])
}

fn ema(i: In) -> Answer {
    let value = clearing::ema(i.u64("old")?, i.u64("obs")?, i.small("alpha_bps")?)?;
    out([("value", text(value))])
}

fn clear(i: In) -> Answer {
    let capacity = i.u64s("cap")?;
    let demand = i.u64("demand")?;
    let cleared = clearing::clear(i.u64("p0")?, i.small("ratio_bps")?, &capacity, demand, i.small("headroom_bps")?)?;
    let (index, price) = cleared.map(|c| (c.index, text(c.price_nc))).unzip();
    out([("index", json!(index)), ("price", json!(price))])
}

fn next_base(i: In) -> Answer {
    let (floor, reserve) = (i.u64("floor")?, i.u64("reserve")?);
    let marginal = i.optional_u64("marginal")?;
    let base = clearing::next_base(i.u64("base")?, marginal, floor, reserve, i.small("up_bps")?, i.small("dn_bps")?)?;
    out([("base", text(base))])
}

fn step_ask(i: In) -> Answer {
    let (up, down) = (i.small("up_bps")?, i.small("dn_bps")?);
    let ask = ask::step_ask(i.u64("ask")?, i.u64("want")?, up, down, i.u64("ceiling")?)?;
    out([("ask", text(ask))])
}

fn route_weight(i: In) -> Answer {
    let (price, p_min) = (i.u64("p")?, i.u64("p_min")?);
    let weight = routing::route_weight(i.small("q")?, price, i.small("q_max")?, p_min, i.small("theta")?)?;
    out([("weight", text(weight))])
}

fn price_stack(i: In) -> Answer {
    let priced = stack::price_stack(&StackInput {
        base_nc: i.u64("c")?,
        asks_nc: [i.u64("a_v")?, i.u64("a_o")?, i.u64("a_w")?],
        beta_bps: i.small("beta")?,
        phi_bps: i.small("phi")?,
        caps_bps: [i.small("k_v")?, i.small("k_o")?, i.small("k_w")?],
    })?;
    out([("price", text(priced.price_nc)), ("eff", texts(&priced.effective_nc)), ("capped", json!(priced.capped))])
}

fn split_bps(i: In) -> Answer {
    let effective = <[u64; 3]>::try_from(i.u64s("eff")?).map_err(|_| BAD_INPUT)?;
    let bps = stack::split_bps(i.u64("price")?, effective, i.small("beta")?, i.small("phi")?)?;
    out([("bps", json!(bps))])
}

fn split_amount(i: In) -> Answer {
    out([("parts", texts(&stack::split_amount(i.u64("amount")?, &i.shares()?)))])
}

fn lineage_split(i: In) -> Answer {
    let asks = i.u64s("asks")?;
    let split = lineage::lineage_split(i.u64("amount")?, &asks)?;
    let entries = asks.len();
    out([("bps", json!(split.bps.get(..entries))), ("parts", texts(split.parts.get(..entries).unwrap_or_default()))])
}

fn tree(i: In) -> Result<Tree, Refusal> {
    let leaves = i.objects("leaves")?;
    let nodes = leaves.into_iter().map(|leaf| Ok(merkle::leaf(&leaf.bytes("data")?, leaf.u64("sum")?)));
    Ok(Tree::build(nodes.collect::<Result<_, Refusal>>()?)?)
}

fn merkle_root(i: In) -> Answer {
    let root = tree(i)?.root();
    out([("root", hex_text(root.hash)), ("sum", text(root.sum))])
}

fn merkle_proof(i: In) -> Answer {
    // The index is an input condition and comes before an overflow of the tree.
    let index: u32 = i.small("index")?;
    let index = index as usize;
    if index >= i.list("leaves")?.len() {
        return Err(BAD_INPUT);
    }
    let tree = tree(i)?;
    let leaf = tree.leaf(index).ok_or(BAD_INPUT)?;
    let level = |node: Node| json!({ "hash": hex::encode(node.hash), "sum": text(node.sum) });
    let proof: Value = tree.proof(index)?.into_iter().map(level).collect();
    out([("leaf", hex_text(leaf.hash)), ("proof", proof)])
}

fn merkle_verify(i: In) -> Answer {
    let root = Node { hash: i.fixed("root")?, sum: i.u64("root_sum")? };
    let leaf = merkle::leaf(&i.bytes("data")?, i.u64("sum")?);
    let levels = i.objects("proof")?.into_iter();
    let proof = levels.map(|level| Ok(Node { hash: level.fixed("hash")?, sum: level.u64("sum")? }));
    let proof = proof.collect::<Result<Vec<_>, Refusal>>()?;
    let verified = merkle::verify(&root, i.small("n_leaves")?, i.small("index")?, &leaf, &proof);
    out([("ok", json!(verified.is_ok())), ("prefix", text(verified.unwrap_or(0)))])
}

fn audit_draw(i: In) -> Answer {
    let x = audit::audit_draw(&i.fixed("seed")?, i.small("draw")?, i.u64("total_nc")?).ok_or(BAD_INPUT)?;
    out([("x", text(x))])
}

fn line_key_of(i: In) -> Answer {
    let key = line_key(&i.fixed("container")?, i.small("stage")?, &i.fixed("worker")?, &i.fixed("referrer")?);
    out([("hash", hex_text(key))])
}

fn message(bytes: &[u8], hash: [u8; 32]) -> Answer {
    out([("bytes", hex_text(bytes)), ("sha256", hex_text(hash))])
}

fn voucher_bytes(i: In) -> Answer {
    let voucher = Voucher {
        domain: i.fixed("domain")?,
        channel: i.fixed("channel")?,
        nonce: i.u64("nonce")?,
        acked_nc: i.u64("acked_nc")?,
        cum_nc: i.u64("cum_nc")?,
        expires: i.i64("expires")?,
        ctx_hash: i.fixed("ctx_hash")?,
    };
    voucher.check()?;
    message(&voucher.to_bytes(), voucher.hash())
}

fn order_bytes(i: In) -> Answer {
    let order = Order {
        domain: i.fixed("domain")?,
        channel: i.fixed("channel")?,
        nonce: i.u64("nonce")?,
        max_price_nc: i.u64("max_price_nc")?,
        ctx_hash: i.fixed("ctx_hash")?,
    };
    message(&order.to_bytes(), order.hash())
}

fn charge_note_bytes(i: In) -> Answer {
    let note = ChargeNote {
        domain: i.fixed("domain")?,
        channel: i.fixed("channel")?,
        nonce: i.u64("nonce")?,
        charge_nc: i.u64("charge_nc")?,
        cum_charged_nc: i.u64("cum_nc")?,
    };
    note.check()?;
    message(&note.to_bytes(), note.hash())
}

fn receipt_bytes(i: In) -> Answer {
    let receipt = Receipt {
        flags: i.small("flags")?,
        det_class: i.small("det_class")?,
        domain: i.fixed("domain")?,
        epoch: i.small("epoch")?,
        seq: i.small("seq")?,
        gateway: i.fixed("gateway")?,
        worker: i.fixed("worker")?,
        line_key: i.fixed("line_key")?,
        artifact: i.fixed("artifact")?,
        request_hash: i.fixed("request_hash")?,
        input_hash: i.fixed("input_hash")?,
        output_hash: i.fixed("output_hash")?,
        evidence_hash: i.fixed("evidence_hash")?,
        units_in: i.small("units_in")?,
        units_out: i.small("units_out")?,
        price_nc: i.u64("price_nc")?,
        cum_nc: i.u64("cum_nc")?,
        t_start_ms: i.u64("t_start_ms")?,
        t_end_ms: i.u64("t_end_ms")?,
    };
    receipt.check()?;
    message(&receipt.to_bytes(), receipt.hash())
}

fn line_bytes(i: In) -> Answer {
    let line = Line {
        stage: i.small("stage")?,
        epoch: i.small("epoch")?,
        index: i.small("index")?,
        container: i.fixed("container")?,
        worker: i.fixed("worker")?,
        referrer: i.fixed("referrer")?,
        first_receipt: i.small("first")?,
        n_receipts: i.small("n")?,
        credits_nc: i.u64("credits_nc")?,
    };
    line.check()?;
    message(&line.to_bytes(), line.hash())
}

fn settle_amount(i: In) -> Answer {
    let (settled, claim) = (i.u64("settled_nc")?, i.u64("claim_cum_nc")?);
    let (ceiling, balance) = (i.u64("ceiling_nc")?, i.u64("balance_aic")?);
    let moved = channel::settle_amount(settled, claim, ceiling, balance, i.u64("rate")?)?;
    out([("delta_nc", text(moved.delta_nc)), ("delta_aic", text(moved.delta_aic))])
}

fn delegated_amount(i: In) -> Answer {
    let grant = Grant {
        expires: i.i64("expires")?,
        period_s: i.small("period_s")?,
        period_start: i.i64("period_start")?,
        limit_nc: i.u64("limit_nc")?,
        used_nc: i.u64("used_nc")?,
    };
    let (settled, claim) = (i.u64("settled_nc")?, i.u64("claim_cum_nc")?);
    let balance = i.u64("balance_aic")?;
    let after = channel::delegated_amount(i.i64("now")?, &grant, settled, claim, balance, i.u64("rate")?)?;
    out([
        ("delta_nc", text(after.moved.delta_nc)),
        ("delta_aic", text(after.moved.delta_aic)),
        ("period_start", Value::String(after.grant.period_start.to_string())),
        ("used_nc", text(after.grant.used_nc)),
        ("settled_nc", text(after.settled_nc)),
    ])
}

fn batch_take(i: In) -> Answer {
    let take = batch::batch_take(i.u64("vault_nc")?, i.u64("vault_aic")?, i.u64("lines_sum_nc")?)?;
    out([("batch_aic", text(take))])
}

fn claim_amount(i: In) -> Answer {
    let shares = i.shares()?;
    let aic = batch::claim_amount(i.u64("lines_sum_nc")?, i.u64("batch_aic")?, i.u64("line_nc")?)?;
    out([("aic", text(aic)), ("parts", texts(&stack::split_amount(aic, &shares)))])
}

fn vcg_slots(i: In) -> Answer {
    let alpha: Vec<u16> = i.smalls("alpha")?;
    let bids = i.objects("bids")?.into_iter();
    let bids = bids.map(|b| Ok(Bid { id: b.bytes("id")?, bid_nc: b.u64("bid")?, quality_bps: b.small("q")? }));
    let bids = bids.collect::<Result<Vec<_>, Refusal>>()?;
    let slots = vcg::vcg(&alpha, i.u64("reserve")?, &bids)?;
    let slots = slots.into_iter().map(|slot| json!({ "id": hex::encode(slot.id), "price": text(slot.price_nc) }));
    out([("slots", slots.collect::<Value>())])
}
