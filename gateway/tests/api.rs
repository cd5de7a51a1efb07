//! The gateway's answers over a real socket: what a good request gets, what each bad one gets, and that nobody pays for
//! anything but a finished answer.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use sha2::Digest;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::{CHANNEL, CHAT, Conduct, EMBED, Garbage, Harness, PRICE};
use tokio::sync::Semaphore;
use waybill_gateway::{Access, ROUTES, SecretKey};
use waybill_mechanism::message::{ChargeNote, Order, Receipt, ctx_hash, flags};
use waybill_mechanism::routing::{PARTS, class_id, pick};
use waybill_protocol::audit::Material;
use waybill_protocol::frame::{Fault, FaultCode};
use waybill_protocol::{ContainerId, DispatchError, SignedReceipt, WalletId, signing};
use waybill_store::Referral;

fn hello() -> Value {
    json!({"model": CHAT, "messages": [{"role": "user", "content": "hello there"}]})
}

fn with(extra: Value) -> Value {
    let mut body = hello();
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn error_of(response: reqwest::Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("application/json"));
    assert!(response.headers().contains_key("x-request-id"));
    let retry = status == 429 || status == 503;
    let final_answer = response.headers().get("x-should-retry").is_some_and(|v| v == "false");
    assert!(
        !retry
            || final_answer
            || response.headers().contains_key("retry-after-ms") && response.headers().contains_key("retry-after")
    );
    let body: Value = response.json().await.unwrap();
    let error = &body["error"];
    assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()), "{body}");
    assert!(error.as_object().unwrap().contains_key("param"), "{body}");
    (status, error["type"].as_str().unwrap().into(), error["code"].as_str().unwrap().into())
}

/// No reservation is left and nothing was charged beyond `charged`.
async fn assert_settled(harness: &Harness, charged: u64) {
    harness.workers.idle().await;
    assert_eq!(harness.charged_nc().await, charged);
    assert_eq!(harness.gateway.reserved_nc(), 0);
}

#[tokio::test]
async fn a_chat_is_answered_charged_and_proved() {
    let h = Harness::start().await;
    let response = h.post("/v1/chat/completions", &hello()).await;
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(
        body["choices"][0]["message"],
        json!({"role": "assistant", "content": "You said: hello there — ümlaut ✓", "refusal": null})
    );
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    let total = body["usage"]["total_tokens"].as_u64().unwrap();
    let charge: u64 = headers["x-waybill-charge-nc"].to_str().unwrap().parse().unwrap();
    assert_eq!(charge, (total * PRICE).div_ceil(1000));
    assert_eq!(headers["x-waybill-price-nc"], PRICE.to_string());
    assert_eq!(headers["x-waybill-region"], "eu");
    assert_eq!(headers["x-waybill-worker"], h.workers.id().to_string());
    assert_eq!(headers["x-waybill-receipt"], headers["x-request-id"]);
    assert_settled(&h, charge).await;

    let id = headers["x-waybill-receipt"].to_str().unwrap();
    let bundle: Value = h.get(&format!("/v1/receipts/{id}")).await.json().await.unwrap();
    let bytes = |name: &str| hex::decode(bundle[name].as_str().unwrap()).unwrap();
    let worker_signature: [u8; 64] = bytes("worker_signature").try_into().unwrap();
    let gateway_signature: [u8; 64] = bytes("gateway_signature").try_into().unwrap();
    let signed = SignedReceipt::verify(&bytes("receipt"), &worker_signature, &gateway_signature).unwrap();
    assert_eq!(signed.receipt.price_nc, charge);
    assert_eq!(bundle["charge_nc"], charge);
    let acks = h.workers.acks.lock().unwrap().clone();
    assert_eq!(acks.len(), 1);
    assert_eq!(acks[0].receipt_hash[..], signed.receipt.hash());
    assert_eq!(acks[0].gateway_signature[..], gateway_signature);
    h.stop().await;
}

/// The curator that an answer's receipt pays, or none.
async fn referrer_of_a_chat(h: &Harness) -> Option<String> {
    let response = h.post("/v1/chat/completions", &hello()).await;
    assert_eq!(response.status(), 200);
    let id = response.headers()["x-waybill-receipt"].to_str().unwrap().to_owned();
    let bundle: Value = h.get(&format!("/v1/receipts/{id}")).await.json().await.unwrap();
    bundle["referrer"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn the_first_paid_request_binds_a_consumer_to_its_curator() {
    let h = Harness::start().await;
    let (first, second) = (WalletId([3; 32]), WalletId([4; 32]));
    h.market.set_referrer(first);
    assert_eq!(referrer_of_a_chat(&h).await, Some(first.to_string()));
    // Another grant names another curator: it gets nothing, and the first one nothing that the grant does not say.
    h.market.set_referrer(second);
    assert_eq!(referrer_of_a_chat(&h).await, None);
    h.market.set_referrer(first);
    assert_eq!(referrer_of_a_chat(&h).await, Some(first.to_string()));
    h.market.set_referrer(WalletId::NONE);
    assert_eq!(referrer_of_a_chat(&h).await, None);
    h.stop().await;
}

#[tokio::test]
async fn a_curator_of_long_ago_gets_half_of_the_requests() {
    let h = Harness::start().await;
    let curator = WalletId([3; 32]);
    let view = h.market.channels.lock().unwrap()[&CHANNEL].clone();
    let long_ago = Referral { curator, bound_ms: support::now_ms() - 31 * 86_400_000 };
    h.store.bind_consumer(view.gateway, view.consumer, long_ago).await.unwrap();
    h.market.set_referrer(curator);
    let mut carried = 0;
    for _ in 0..40 {
        carried += u32::from(referrer_of_a_chat(&h).await == Some(curator.to_string()));
    }
    assert!((8..=32).contains(&carried), "{carried} of 40");
    // What the ledger holds is what the cap is reckoned by.
    let shares = h.store.curator_shares(view.gateway, ContainerId([0x10; 32]), 0).await.unwrap();
    assert_eq!(shares.values().sum::<u64>(), h.charged_nc().await);
    assert!(shares[&curator] > 0 && shares[&WalletId::NONE] > 0);
    h.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_usage_receipt_and_done() {
    let h = Harness::start().await;
    let body = with(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let response = h.post("/v1/chat/completions", &body).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let id = response.headers()["x-waybill-receipt"].to_str().unwrap().to_owned();
    let text = response.text().await.unwrap();
    let events: Vec<&str> = text.split("\n\n").filter(|event| !event.is_empty()).collect();
    let data: Vec<Value> = events.iter().filter_map(|e| serde_json::from_str(e.strip_prefix("data: ")?).ok()).collect();
    assert_eq!(data[0]["choices"][0]["delta"]["role"], "assistant");
    let said: String = data.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(said, "You said: hello there — ümlaut ✓");
    let [.., finish, usage] = data.as_slice() else { panic!("{text}") };
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert_eq!(finish["usage"], Value::Null);
    assert_eq!(usage["choices"], json!([]));
    let charge = (usage["usage"]["total_tokens"].as_u64().unwrap() * PRICE).div_ceil(1000);
    let [.., comment, done] = events.as_slice() else { panic!("{text}") };
    assert_eq!(*comment, format!(": waybill receipt={id} charge-nc={charge} price-nc={PRICE}"));
    assert_eq!(*done, "data: [DONE]");
    assert_settled(&h, charge).await;
    assert_eq!(h.get(&format!("/v1/receipts/{id}")).await.status(), 200);
    h.stop().await;
}

#[tokio::test]
async fn a_stream_without_usage_has_no_usage() {
    let h = Harness::start().await;
    let text =
        h.post("/v1/chat/completions", &with(json!({"stream": true, "max_tokens": 2}))).await.text().await.unwrap();
    assert!(!text.contains("usage"), "{text}");
    assert!(text.contains(r#""finish_reason":"length""#), "{text}");
    h.stop().await;
}

#[tokio::test]
async fn embeddings_come_as_numbers_or_base64() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let h = Harness::start().await;
    let plain: Value =
        h.post("/v1/embeddings", &json!({"model": EMBED, "input": ["a", "bc"]})).await.json().await.unwrap();
    assert_eq!(plain["data"].as_array().unwrap().len(), 2);
    let body = json!({"model": EMBED, "input": ["a", "bc"], "encoding_format": "base64"});
    let response = h.post("/v1/embeddings", &body).await;
    let charge: u64 = response.headers()["x-waybill-charge-nc"].to_str().unwrap().parse().unwrap();
    let coded: Value = response.json().await.unwrap();
    for i in 0..2 {
        let numbers: Vec<u8> = plain["data"][i]["embedding"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|v| (v.as_f64().unwrap() as f32).to_le_bytes())
            .collect();
        assert_eq!(STANDARD.decode(coded["data"][i]["embedding"].as_str().unwrap()).unwrap(), numbers);
    }
    let tokens = h.post("/v1/embeddings", &json!({"model": EMBED, "input": [[1, 2, 3], [4]]})).await;
    assert_eq!(tokens.status(), 200);
    let third: u64 = tokens.headers()["x-waybill-charge-nc"].to_str().unwrap().parse().unwrap();
    assert_settled(&h, 2 * charge + third).await;
    h.stop().await;
}

#[tokio::test]
async fn models_are_listed_and_shown() {
    let h = Harness::start().await;
    let list: Value = h.get("/v1/models").await.json().await.unwrap();
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [EMBED, CHAT]);
    let one: Value = h.get(&format!("/v1/models/{CHAT}")).await.json().await.unwrap();
    assert_eq!(one, list["data"][1]);
    assert_eq!(one["waybill"]["regions"], json!(["eu"]));
    let digest = one["waybill"]["digest"].as_str().unwrap();
    assert_eq!(h.get(&format!("/v1/models/{CHAT}@{digest}")).await.status(), 200);
    let (status, _, code) = error_of(h.get(&format!("/v1/models/{CHAT}@{}", "0".repeat(64))).await).await;
    assert_eq!((status, code.as_str()), (404, "model_not_found"));
    h.stop().await;
}

#[tokio::test]
async fn sponsored_models_stand_beside_the_list_and_never_change_its_order() {
    let h = Harness::start().await;
    let organic: Value = h.get("/v1/models").await.json().await.unwrap();
    assert_eq!(organic["sponsored"], json!([]));
    let placement = h.promote(2);
    let list: Value = h.get("/v1/models").await.json().await.unwrap();
    let ids = |list: &Value| -> Vec<String> {
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&list), ids(&organic));
    let (payer, auction) = (placement.payer.to_string(), placement.auction.to_string());
    let label = json!({"label": "Sponsored", "slot": 2, "payer": payer, "auction": auction});
    assert_eq!(list["data"][1]["waybill"]["sponsored"], label);
    assert!(list["data"][0]["waybill"].get("sponsored").is_none());
    let [shown] = list["sponsored"].as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!((&shown["id"], &shown["place"], &shown["payer"]), (&json!(CHAT), &json!(1), &json!(payer)));
    h.stop().await;
}

#[tokio::test]
async fn a_request_goes_through_a_slot_only_when_it_opts_in() {
    let h = Harness::start().await;
    let placement = h.promote(1);
    let receipt = async |body: Value| -> (Option<String>, Receipt, Order, Value) {
        let response = h.post("/v1/chat/completions", &body).await;
        assert_eq!(response.status(), 200, "{body}");
        let label = response.headers().get("x-waybill-sponsored").map(|v| v.to_str().unwrap().to_owned());
        let id = response.headers()["x-waybill-receipt"].to_str().unwrap().to_owned();
        let stored = h.store.receipt(&id).await.unwrap().unwrap().receipt;
        (label, stored.receipt().unwrap(), Order::from_bytes(&stored.order).unwrap(), response.json().await.unwrap())
    };
    let ctx = |receipt: &Receipt, order: &Order, slot: Option<&[u8; 32]>| {
        ctx_hash(&placement.container.0, &receipt.input_hash, order.max_price_nc, &[0x0c; 32], slot)
    };
    for organic in [hello(), with(json!({"route": {"sponsored": false}}))] {
        let (label, receipt, order, body) = receipt(organic).await;
        assert_eq!((label, receipt.flags & flags::SPONSORED), (None, 0));
        assert_eq!(order.ctx_hash, ctx(&receipt, &order, None));
        assert!(body.get("sponsored").is_none());
    }
    let expected = format!("slot=1; payer={}; auction={}", placement.payer, placement.auction);
    for model in [CHAT, "auto/chat"] {
        let (label, receipt, order, body) = receipt(with(json!({"model": model, "route": {"sponsored": true}}))).await;
        assert_eq!(label.as_ref(), Some(&expected));
        assert_eq!(receipt.flags & flags::SPONSORED, flags::SPONSORED);
        assert_eq!(order.ctx_hash, ctx(&receipt, &order, Some(&placement.auction.0)));
        assert_eq!(body["sponsored"]["slot"], json!(1));
        assert_eq!(body["model"], json!(CHAT));
    }
    // Without opting in nobody is sent to a sponsored model, and a wish of another type is refused.
    let (status, _, code) = error_of(h.post("/v1/chat/completions", &with(json!({"model": "auto/chat"}))).await).await;
    assert_eq!((status, code.as_str()), (404, "model_not_found"));
    let odd = with(json!({"route": {"sponsored": "yes"}}));
    assert_eq!(error_of(h.post("/v1/chat/completions", &odd).await).await.0, 400);
    // A model without a slot is served as ever.
    let embed = json!({"model": EMBED, "input": "x", "route": {"sponsored": true}});
    let response = h.post("/v1/embeddings", &embed).await;
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("x-waybill-sponsored"));
    h.stop().await;
}

/// Everything a third party needs is in the stored order and on chain: the class, its shares, the epoch's seed.
#[tokio::test]
async fn a_class_request_goes_where_the_hash_of_its_order_says() {
    let h = Harness::start().await;
    let prices = [PRICE, PRICE + 5_000, PRICE + 9_000];
    *h.market.class.lock().unwrap() = prices.to_vec();
    let shares = [PARTS / 3; 3];
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..24 {
        let response = h.post("/v1/chat/completions", &with(json!({"model": "auto/chat"}))).await;
        assert_eq!(response.status(), 200);
        let id = response.headers()["x-waybill-receipt"].to_str().unwrap().to_owned();
        let body: Value = response.json().await.unwrap();
        let stored = h.store.receipt(&id).await.unwrap().unwrap().receipt;
        let (receipt, order) = (stored.receipt().unwrap(), Order::from_bytes(&stored.order).unwrap());
        let class = class_id("auto/chat");
        assert_eq!(
            order.ctx_hash,
            ctx_hash(&class, &receipt.input_hash, order.max_price_nc, &[0x0c; 32], None),
            "the order names the class"
        );
        let picked = pick(&order.hash(), &[6; 32], 0, &shares).unwrap();
        assert_eq!(stored.container.0, [0x40 + 2 * picked as u8; 32]);
        assert_eq!(body["model"], json!(format!("chat-{picked}")), "the answer names the container's model");
        let units = u64::from(receipt.units_in + receipt.units_out);
        assert_eq!(receipt.price_nc, (units * prices[picked]).div_ceil(1_000), "and is paid at its price");
        assert!(receipt.price_nc <= order.max_price_nc);
        seen.insert(picked);
    }
    assert_eq!(seen.len(), 3, "all of them get traffic");
    h.stop().await;
}

#[tokio::test]
async fn input_and_output_are_kept_sealed_unless_the_call_is_private() {
    let h = Harness::start().await;
    let mut receipts = Vec::new();
    for body in [hello(), with(json!({"route": {"private": true}}))] {
        let response = h.post("/v1/chat/completions", &body).await;
        assert_eq!(response.status(), 200);
        let id = response.headers()["x-waybill-receipt"].to_str().unwrap().to_owned();
        receipts.push(h.store.receipt(&id).await.unwrap().unwrap().receipt.receipt().unwrap());
    }
    let embed = h.post("/v1/embeddings", &json!({"model": EMBED, "input": "x"})).await;
    let id = embed.headers()["x-waybill-receipt"].to_str().unwrap().to_owned();
    receipts.push(h.store.receipt(&id).await.unwrap().unwrap().receipt.receipt().unwrap());
    let (store, key) = (h.store.clone(), h.pepper.material_key());
    // A gateway that leaves writes what it has sealed.
    h.stop().await;

    let open = async |receipt: &Receipt| {
        let sealed = store.sealed_material(&receipt.hash()).await.unwrap()?;
        assert!(!sealed.windows(11).any(|window| window == b"hello there"), "sealed");
        Some(Material::read(&key.open(&receipt.hash(), &sealed).unwrap()).unwrap())
    };
    let chat = open(&receipts[0]).await.unwrap();
    assert_eq!(chat.job.unwrap().input.unwrap().hash(), receipts[0].input_hash);
    assert_eq!(open(&receipts[1]).await, None, "nothing is kept of a private call");
    let vectors = open(&receipts[2]).await.unwrap();
    assert_eq!(<[u8; 32]>::from(sha2::Sha256::digest(&vectors.values)), receipts[2].output_hash);
}

#[tokio::test]
async fn every_bad_request_gets_its_error_and_costs_nothing() {
    let h = Harness::start().await;
    let chat = "/v1/chat/completions";
    let cases: Vec<(&str, Value, u16, &str)> = vec![
        (chat, with(json!({"model": "nobody/nothing"})), 404, "model_not_found"),
        (chat, with(json!({"model": EMBED})), 400, "unsupported_value"),
        ("/v1/embeddings", json!({"model": CHAT, "input": "x"}), 400, "unsupported_value"),
        (chat, with(json!({"frobnicate": 1})), 400, "unknown_parameter"),
        (chat, with(json!({"tools": [{"type": "function"}]})), 400, "unsupported_value"),
        (chat, with(json!({"n": 2})), 400, "unsupported_value"),
        (chat, with(json!({"logprobs": true})), 400, "unsupported_value"),
        (chat, with(json!({"max_tokens": -1})), 400, "invalid_value"),
        (chat, with(json!({"max_tokens": 1_000_000})), 400, "invalid_value"),
        (chat, with(json!({"max_tokens": u64::MAX})), 400, "invalid_value"),
        (chat, with(json!({"temperature": 1e300})), 400, "invalid_value"),
        (chat, with(json!({"temperature": -0.1})), 400, "invalid_value"),
        (chat, with(json!({"seed": 1.5})), 400, "invalid_value"),
        (chat, with(json!({"messages": 7})), 400, "invalid_value"),
        (chat, json!([]), 400, "invalid_json"),
        ("/v1/embeddings", json!({"model": EMBED, "input": ""}), 400, "invalid_value"),
        ("/v1/embeddings", json!({"model": EMBED, "input": "x", "dimensions": 3}), 400, "unsupported_value"),
        (chat, with(json!({"route": {"regions": ["mars"]}})), 422, "no_eligible_worker"),
    ];
    for (path, body, status, code) in cases {
        let (got, _, got_code) = error_of(h.post(path, &body).await).await;
        assert_eq!((got, got_code.as_str()), (status, code), "{body}");
    }
    for body in [
        &b"{\"model\": \"\xff\"}"[..],
        b"{\"temperature\": NaN}",
        b"{\"model\": ",
        b"",
        b"\xff\xfe",
        &b"[".repeat(100_000),
    ] {
        let (got, kind, code) = error_of(h.post_raw(chat, body.to_vec()).await).await;
        assert_eq!((got, kind.as_str(), code.as_str()), (400, "invalid_request_error", "invalid_json"));
    }
    let (status, _, code) = error_of(h.get("/v1/nothing/here").await).await;
    assert_eq!((status, code.as_str()), (404, "unknown_url"));
    let (status, _, code) = error_of(h.get(chat).await).await;
    assert_eq!((status, code.as_str()), (405, "method_not_allowed"));
    let (status, ..) = error_of(h.get("/v1/receipts/%ff%fe").await).await;
    assert_eq!(status, 400);
    let (status, ..) = error_of(h.get("/v1/receipts/req-000000000000000000000000").await).await;
    assert_eq!(status, 404);
    let other = waybill_protocol::ChannelId([9; 32]);
    let (status, ..) = error_of(h.get(&format!("/v1/channels/{other}/notes")).await).await;
    assert_eq!(status, 403);
    assert_settled(&h, 0).await;
    h.stop().await;
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_the_next_request_is_served() {
    let h = Harness::start().await;
    let response = h.post("/v1/chat/completions", &with(json!({"model": "a-bug"}))).await;
    let (status, kind, code) = error_of(response).await;
    assert_eq!((status, kind.as_str(), code.as_str()), (500, "server_error", "internal_error"));
    assert_eq!(h.post("/v1/chat/completions", &hello()).await.status(), 200);
    h.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_an_answer() {
    let h = Harness::with(|config| config.limits.body_bytes = 10_000).await;
    let long = with(json!({"messages": [{"role": "user", "content": "x".repeat(1 << 20)}]}));
    let (status, _, code) = error_of(h.post("/v1/chat/completions", &long).await).await;
    assert_eq!((status, code.as_str()), (413, "request_too_large"));
    // without a declared length
    let pieces = futures_util::stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1000])));
    let (status, ..) = error_of(h.post_raw("/v1/chat/completions", reqwest::Body::wrap_stream(pieces)).await).await;
    assert_eq!(status, 413);
    assert_settled(&h, 0).await;
    h.stop().await;
}

#[tokio::test]
async fn every_keyed_route_refuses_strangers() {
    let h = Harness::start().await;
    let stranger = SecretKey::generate(&mut rand::rng());
    let paths: Vec<String> = ROUTES
        .iter()
        .filter(|(_, access)| *access == Access::Key)
        .map(|(route, _)| route.replace("{*id}", "x").replace("{id}", "x"))
        .collect();
    assert_eq!(paths.len() + 3, ROUTES.len(), "health, readiness and metrics are open, all else needs a key");
    for key in [None, Some("sk-proj-nonsense".to_owned()), Some(stranger.reveal())] {
        for path in &paths {
            let posted = path.contains("completions") || path.contains("embeddings");
            let method = if posted { reqwest::Method::POST } else { reqwest::Method::GET };
            let request = h.http.request(method, format!("{}{path}", h.url));
            let request = match &key {
                Some(key) => request.bearer_auth(key),
                None => request,
            };
            let (status, kind, code) = error_of(request.send().await.unwrap()).await;
            assert_eq!(
                (status, kind.as_str(), code.as_str()),
                (401, "authentication_error", "invalid_api_key"),
                "{path}"
            );
        }
    }
    // the right public id with another secret
    let forged = format!("{}{}", &h.api_key[..19], &stranger.reveal()[19..]);
    let response = h.http.get(format!("{}/v1/models", h.url)).bearer_auth(forged).send().await.unwrap();
    assert_eq!(error_of(response).await.0, 401);
    h.stop().await;
}

#[tokio::test]
async fn a_revoked_key_stops_working_when_its_cache_entry_ends() {
    let h = Harness::with(|config| config.times.key_cache = Duration::ZERO).await;
    assert_eq!(h.get("/v1/models").await.status(), 200);
    let id = SecretKey::parse(&h.api_key).unwrap().public_id;
    assert!(h.store.revoke_api_key(&id, support::now_ms()).await.unwrap());
    assert_eq!(error_of(h.get("/v1/models").await).await.0, 401);
    h.stop().await;
}

#[tokio::test]
async fn exhausted_credit_is_insufficient_quota() {
    let h = Harness::start().await;
    h.market.set_grant(1000);
    let response = h.post("/v1/chat/completions", &hello()).await;
    assert_eq!(response.headers()["x-should-retry"], "false");
    let (status, kind, code) = error_of(response).await;
    assert_eq!((status, kind.as_str(), code.as_str()), (429, "insufficient_quota", "insufficient_quota"));
    assert_eq!(h.workers.jobs.load(Ordering::SeqCst), 0);
    assert_settled(&h, 0).await;

    // A grant is spent to its end, and never beyond.
    h.market.set_grant(60_000);
    let mut charged = 0;
    let small = with(json!({"max_tokens": 1}));
    loop {
        let response = h.post("/v1/chat/completions", &small).await;
        if response.status() != 200 {
            assert_eq!(error_of(response).await.2, "insufficient_quota");
            break;
        }
        charged += response.headers()["x-waybill-charge-nc"].to_str().unwrap().parse::<u64>().unwrap();
    }
    assert!(charged > 50_000 && charged <= 60_000, "{charged}");
    assert_settled(&h, charged).await;
    h.stop().await;
}

#[tokio::test]
async fn a_keys_own_limit_holds() {
    let h = Harness::start().await;
    let limited = h.new_key(Some(2000)).await;
    let send = || {
        let body = serde_json::to_vec(&with(json!({"max_tokens": 1}))).unwrap();
        h.http.post(format!("{}/v1/chat/completions", h.url)).bearer_auth(limited.reveal()).body(body).send()
    };
    assert_eq!(send().await.unwrap().status(), 200);
    assert_eq!(error_of(send().await.unwrap()).await.2, "insufficient_quota");
    assert_eq!(h.gateway.reserved_nc(), 0);
    h.stop().await;
}

#[tokio::test]
async fn concurrent_requests_charge_exactly_their_receipts() {
    let h = Arc::new(Harness::start().await);
    let calls = (0..40).map(|i| {
        let h = h.clone();
        tokio::spawn(async move {
            let response = if i % 2 == 0 {
                h.post("/v1/chat/completions", &with(json!({"max_tokens": 3 + i}))).await
            } else {
                h.post("/v1/embeddings", &json!({"model": EMBED, "input": "x".repeat(i)})).await
            };
            assert_eq!(response.status(), 200);
            response.headers()["x-waybill-charge-nc"].to_str().unwrap().parse::<u64>().unwrap()
        })
    });
    let charges: Vec<u64> = futures_util::future::join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert_settled(&h, charges.iter().sum()).await;
    let usage: Value = h.get("/v1/usage").await.json().await.unwrap();
    assert_eq!(usage["charged_nc"], charges.iter().sum::<u64>());
    assert_eq!(usage["key"]["charged_nc"], charges.iter().sum::<u64>());
    Arc::into_inner(h).unwrap().stop().await;
}

#[tokio::test]
async fn notes_follow_the_charges() {
    let h = Harness::start().await;
    // a failed request in between: its nonce is void and charges nothing
    assert_eq!(h.post("/v1/chat/completions", &hello()).await.status(), 200);
    h.workers.behave(Conduct::Refuses(DispatchError::Timeout));
    assert_eq!(h.post("/v1/chat/completions", &hello()).await.status(), 504);
    h.workers.behave(Conduct::Honest);
    assert_eq!(h.post("/v1/chat/completions", &hello()).await.status(), 200);
    let (url, key, http, store) = (h.url.clone(), h.api_key.clone(), h.http.clone(), h.store.clone());
    let gateway = solana_signer::Signer::pubkey(h.key.as_ref()).to_bytes();
    let page: Value = http
        .get(format!("{url}/v1/channels/{CHANNEL}/notes?after=0"))
        .bearer_auth(key)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(page["object"], "list");
    h.stop().await; // signs what is issuable
    let notes = store.notes_after(CHANNEL, 0, 10).await.unwrap();
    assert_eq!(notes.len(), 2);
    let mut cum = 0;
    for signed in notes {
        assert!(signing::verify(&gateway, &signed.note, &signed.signature));
        let note = ChargeNote::from_bytes(&signed.note).unwrap();
        cum += note.charge_nc;
        assert_eq!(note.cum_charged_nc, cum);
    }
}

#[tokio::test]
async fn the_notes_of_a_sole_gateway_do_not_wait_for_what_a_crashed_one_held() {
    for sole in [false, true] {
        let h = Harness::start().await;
        // The first process holds the nonces after this one, and is never heard of again.
        assert_eq!(h.post("/v1/chat/completions", &hello()).await.status(), 200);
        let shutdown = tokio_util::sync::CancellationToken::new();
        let successor = h.successor(sole, shutdown.clone()).await;
        let url = format!("http://{}/v1/chat/completions", successor.address());
        let body = serde_json::to_vec(&hello()).unwrap();
        let response = h.http.post(url).bearer_auth(&h.api_key).body(body).send().await.unwrap();
        assert_eq!(response.status(), 200);
        shutdown.cancel();
        successor.stopped().await; // signs what is issuable
        let notes = h.store.notes_after(CHANNEL, 0, 10).await.unwrap();
        assert_eq!(notes.len(), if sole { 2 } else { 1 }, "sole: {sole}");
    }
}

#[tokio::test]
async fn garbage_from_a_worker_costs_the_consumer_nothing() {
    let h = Harness::start().await;
    for garbage in Garbage::ALL {
        h.workers.behave(Conduct::Garbage(garbage));
        let (status, _, code) = error_of(h.post("/v1/chat/completions", &hello()).await).await;
        assert_eq!((status, code.as_str()), (500, "internal_error"), "{garbage:?}");
        let (status, ..) = error_of(h.post("/v1/embeddings", &json!({"model": EMBED, "input": "x"})).await).await;
        assert_eq!(status, 500, "{garbage:?}");
        let text = h.post("/v1/chat/completions", &with(json!({"stream": true}))).await.text().await.unwrap();
        assert!(text.contains(r#""error":{"#) && !text.contains("[DONE]"), "{garbage:?}: {text}");
        assert_settled(&h, 0).await;
    }
    h.workers.behave(Conduct::Honest);
    assert_eq!(h.post("/v1/chat/completions", &hello()).await.status(), 200);
    assert!(
        h.get("/metrics").await.text().await.unwrap().contains(r#"waybill_usage_mismatch_total{field="output_hash"}"#)
    );
    h.stop().await;
}

#[tokio::test]
async fn a_line_broken_by_a_lost_receipt_is_mended_and_the_consumer_answered() {
    let h = Harness::start().await;
    let charge = |response: &reqwest::Response| -> u64 {
        assert_eq!(response.status(), 200);
        response.headers()["x-waybill-charge-nc"].to_str().unwrap().parse().unwrap()
    };
    let mut charged = charge(&h.post("/v1/chat/completions", &hello()).await);
    h.workers.lose_receipts();
    charged += charge(&h.post("/v1/chat/completions", &hello()).await);
    h.workers.forget_lines();
    charged += charge(&h.post("/v1/chat/completions", &hello()).await);

    // What has left cannot be produced again: that one stream fails, and the next one is whole.
    h.workers.lose_receipts();
    let streamed = with(json!({"stream": true}));
    let text = h.post("/v1/chat/completions", &streamed).await.text().await.unwrap();
    assert!(text.contains(r#""error":{"#) && !text.contains("[DONE]"), "{text}");
    assert_settled(&h, charged).await;
    let text = h.post("/v1/chat/completions", &streamed).await.text().await.unwrap();
    assert!(text.contains("[DONE]"), "{text}");
    h.stop().await;
}

#[tokio::test]
async fn failures_before_the_first_event_have_their_status() {
    let h = Harness::with(|config| config.times.chat_first_event = Duration::from_millis(50)).await;
    let fault = |code| Fault::new(code, "told to");
    let cases = [
        (Conduct::Refuses(DispatchError::NoWorker("none".into())), 503, "overloaded"),
        (Conduct::Refuses(DispatchError::Busy { retry_after_ms: 700 }), 503, "overloaded"),
        (Conduct::Refuses(DispatchError::Timeout), 504, "upstream_timeout"),
        (Conduct::Refuses(DispatchError::Unavailable("gone".into())), 503, "overloaded"),
        (Conduct::Refuses(DispatchError::Refused(fault(FaultCode::ContextExceeded))), 400, "context_length_exceeded"),
        (Conduct::Refuses(DispatchError::Refused(fault(FaultCode::BadInput))), 400, "invalid_value"),
        (
            Conduct::Refuses(DispatchError::Exhausted { attempts: 3, last: fault(FaultCode::Lost) }),
            500,
            "internal_error",
        ),
        (Conduct::Faults(FaultCode::ContextExceeded), 400, "context_length_exceeded"),
        (Conduct::Faults(FaultCode::Internal), 500, "internal_error"),
        (Conduct::DiesAfter(0), 500, "internal_error"),
        (Conduct::DiesAfter(2), 500, "internal_error"),
        (Conduct::Silent, 504, "upstream_timeout"),
    ];
    for (i, (conduct, status, code)) in cases.into_iter().enumerate() {
        h.workers.behave(conduct);
        let (got, _, got_code) = error_of(h.post("/v1/chat/completions", &hello()).await).await;
        assert_eq!((got, got_code.as_str()), (status, code), "case {i}");
        assert_settled(&h, 0).await;
    }
    h.stop().await;
}

#[tokio::test]
async fn a_worker_that_dies_midway_ends_the_stream_with_an_error() {
    let h = Harness::start().await;
    h.workers.behave(Conduct::DiesAfter(2));
    let response = h.post("/v1/chat/completions", &with(json!({"stream": true}))).await;
    assert_eq!(response.status(), 200);
    let text = response.text().await.unwrap();
    assert!(text.contains(r#""content":"You ""#), "{text}");
    assert!(
        text.trim_end().ends_with("}}") && text.contains(r#"data: {"error":{"#) && !text.contains("[DONE]"),
        "{text}"
    );
    assert_settled(&h, 0).await;
    h.stop().await;
}

#[tokio::test]
async fn a_silent_worker_is_given_up_and_the_consumer_kept_company() {
    let h = Harness::with(|config| {
        config.times.ping = Duration::from_millis(20);
        config.times.idle = Duration::from_millis(200);
    })
    .await;
    let gate = Arc::new(Semaphore::new(1));
    h.workers.behave(Conduct::Gated(gate));
    let text = h.post("/v1/chat/completions", &with(json!({"stream": true}))).await.text().await.unwrap();
    assert!(text.contains(": ping\n\n"), "{text}");
    assert!(text.contains(r#"data: {"error":{"#) && !text.contains("[DONE]"), "{text}");
    assert_settled(&h, 0).await;
    h.stop().await;
}

#[tokio::test]
async fn a_consumer_that_leaves_cancels_the_work_and_pays_nothing() {
    let h = Harness::start().await;
    let gate = Arc::new(Semaphore::new(2));
    h.workers.behave(Conduct::Gated(gate.clone()));
    for body in [with(json!({"stream": true})), hello()] {
        gate.add_permits(2 - gate.available_permits());
        let streamed = body["stream"] == true;
        let request = h.post("/v1/chat/completions", &body);
        if streamed {
            let mut response = request.await;
            response.chunk().await.unwrap();
            assert_ne!(h.gateway.reserved_nc(), 0);
            drop(response);
        } else {
            tokio::select! {
                _ = request => panic!("answered"),
                () = async { while gate.available_permits() > 0 { tokio::task::yield_now().await } } => {}
            }
        }
        assert_settled(&h, 0).await;
    }
    h.stop().await;
}

#[tokio::test]
async fn a_key_has_so_many_requests_at_a_time() {
    let h = Harness::with(|config| config.limits.requests_per_key = 1).await;
    let gate = Arc::new(Semaphore::new(1));
    h.workers.behave(Conduct::Gated(gate.clone()));
    let first = h.post("/v1/chat/completions", &with(json!({"stream": true}))).await;
    let (status, kind, code) = error_of(h.get("/v1/models").await).await;
    assert_eq!((status, kind.as_str(), code.as_str()), (429, "rate_limit_error", "rate_limit_exceeded"));
    gate.add_permits(1000);
    assert!(first.text().await.unwrap().contains("[DONE]"));
    h.stop().await;
}

#[tokio::test]
async fn readiness_names_what_is_missing_and_health_does_not_care() {
    let h = Harness::start().await;
    assert_eq!(h.get("/readyz").await.status(), 200);
    h.workers.connected.store(false, Ordering::SeqCst);
    h.market.healthy.store(false, Ordering::SeqCst);
    let body: Value = h.get("/readyz").await.json().await.unwrap();
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("no worker") && message.contains("chain"), "{message}");
    assert_eq!(error_of(h.post("/v1/chat/completions", &hello()).await).await.0, 503);
    h.workers.connected.store(true, Ordering::SeqCst);
    h.market.healthy.store(true, Ordering::SeqCst);
    assert_eq!(h.get("/readyz").await.status(), 200);
    h.market.priced.store(false, Ordering::SeqCst);
    assert_eq!(error_of(h.post("/v1/chat/completions", &hello()).await).await.0, 503);
    h.store.close().await;
    assert_eq!(error_of(h.get("/readyz").await).await.2, "not_ready");
    assert_eq!(h.get("/healthz").await.status(), 200);
}

#[tokio::test]
async fn a_drain_finishes_open_streams_and_refuses_new_connections() {
    let h = Harness::with(|config| config.times.drain_notice = Duration::from_secs(3600)).await;
    let gate = Arc::new(Semaphore::new(1));
    h.workers.behave(Conduct::Gated(gate.clone()));
    let open = h.post("/v1/chat/completions", &with(json!({"stream": true}))).await;
    h.shutdown.cancel();
    // during the notice: not ready, still serving
    while h.get("/readyz").await.status() == 200 {}
    assert_eq!(error_of(h.get("/readyz").await).await.2, "draining");
    assert_eq!(h.get("/v1/models").await.status(), 200);
    gate.add_permits(1000);
    assert!(open.text().await.unwrap().contains("[DONE]"));

    let h = Harness::start().await;
    let gate = Arc::new(Semaphore::new(1));
    h.workers.behave(Conduct::Gated(gate.clone()));
    let open = h.post("/v1/chat/completions", &with(json!({"stream": true}))).await;
    h.shutdown.cancel();
    while tokio::net::TcpStream::connect(h.address).await.is_ok() {}
    gate.add_permits(1000);
    assert!(open.text().await.unwrap().contains("[DONE]"));
    assert_ne!(h.charged_nc().await, 0);
    h.stop().await;
}

#[tokio::test]
async fn receipts_of_one_line_are_seamless() {
    let h = Harness::start().await;
    let mut previous: Option<Receipt> = None;
    for _ in 0..3 {
        let response = h.post("/v1/chat/completions", &hello()).await;
        let id = response.headers()["x-waybill-receipt"].to_str().unwrap().to_owned();
        let bundle: Value = h.get(&format!("/v1/receipts/{id}")).await.json().await.unwrap();
        let receipt = Receipt::from_bytes(&hex::decode(bundle["receipt"].as_str().unwrap()).unwrap()).unwrap();
        if previous.is_none_or(|previous| previous.epoch == receipt.epoch) {
            assert!(receipt.continues(previous.as_ref()));
        }
        previous = Some(receipt);
    }
    h.stop().await;
}
