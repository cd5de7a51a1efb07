//! The routes and their handlers.

use crate::auth::{self, Caller};
use crate::chat::{Answer, ChatRequest};
use crate::embeddings::{self, EmbeddingsRequest};
use crate::error::{ApiError, Kind};
use crate::market::{Model, ModelKind, Placement};
use crate::paid::{self, Call, Running, Settled, Unsettled};
use crate::pieces::{Output, Rows, Text, usage};
use crate::promo::{self, Label};
use crate::routes::Class;
use crate::state::{App, Phase};
use crate::{body, middleware, stream, telemetry};
use axum::body::Body;
use axum::extract::{Extension, MatchedPath, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;
use waybill_protocol::frame::{Finish, Input, InputKind};
use waybill_protocol::{ArtifactId, RequestId};

/// How long a worker is given to hear where its lines stand.
const MENDING: Duration = Duration::from_millis(300);

/// When the request arrived, for the time that the gateway adds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived(pub Instant);

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Holders of an API key.
    Key,
    /// Everyone.
    Open,
}

/// Every route and who may use it. Only what is listed as open here answers without a key.
pub const ROUTES: [(&str, Access); 10] = [
    ("/v1/models", Access::Key),
    ("/v1/models/{*id}", Access::Key),
    ("/v1/chat/completions", Access::Key),
    ("/v1/embeddings", Access::Key),
    ("/v1/receipts/{id}", Access::Key),
    ("/v1/channels/{id}/notes", Access::Key),
    ("/v1/usage", Access::Key),
    ("/healthz", Access::Open),
    ("/readyz", Access::Open),
    ("/metrics", Access::Open),
];

fn handler(route: &str) -> MethodRouter<Arc<App>> {
    match route {
        "/v1/models" => get(list_models),
        "/v1/models/{*id}" => get(show_model),
        "/v1/chat/completions" => post(chat),
        "/v1/embeddings" => post(embed),
        "/v1/receipts/{id}" => get(crate::account::receipt),
        "/v1/channels/{id}/notes" => get(crate::account::notes),
        "/v1/usage" => get(crate::account::usage),
        "/healthz" => get(alive),
        "/readyz" => get(ready),
        "/metrics" => get(metrics_page),
        _ => MethodRouter::new(),
    }
}

pub(crate) fn router(app: Arc<App>) -> Router {
    let mut keyed = Router::new();
    let mut open = Router::new();
    for (route, access) in ROUTES {
        match access {
            Access::Key => keyed = keyed.route(route, handler(route)),
            Access::Open => open = open.route(route, handler(route)),
        }
    }
    let keyed = keyed
        .route_layer(axum::middleware::from_fn_with_state(app.clone(), auth::require_key))
        .route_layer(axum::middleware::from_fn_with_state(app.clone(), refuse_while_draining));
    let routes = keyed.merge(open).fallback(unknown_url).method_not_allowed_fallback(wrong_method);
    middleware::wrap(routes).with_state(app)
}

async fn refuse_while_draining(
    State(app): State<Arc<App>>,
    request: Request,
    next: axum::middleware::Next,
) -> Result<Response, ApiError> {
    if app.phase.get() == Phase::Draining {
        return Err(ApiError::new(Kind::Draining, "This gateway is shutting down, please try again."));
    }
    Ok(next.run(request).await)
}

async fn unknown_url(method: Method, uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(200).collect();
    ApiError::new(Kind::UnknownUrl, format!("Unknown request URL: {method} {path}. Please check the URL for typos."))
}

async fn wrong_method(method: Method, path: Option<MatchedPath>, uri: Uri) -> ApiError {
    let path = path.as_ref().map_or_else(|| uri.path(), MatchedPath::as_str);
    ApiError::new(Kind::MethodNotAllowed, format!("Not allowed to {method} on {path}."))
}

async fn alive() -> Json<serde_json::Value> {
    Json(json!({"status": "ok"}))
}

async fn ready(State(app): State<Arc<App>>) -> Result<Json<serde_json::Value>, ApiError> {
    if app.phase.get() != Phase::Serving {
        return Err(ApiError::new(Kind::Draining, "This gateway is shutting down."));
    }
    let obstacles = app.obstacles().await;
    if obstacles.is_empty() {
        return Ok(Json(json!({"status": "ready"})));
    }
    Err(ApiError::new(Kind::NotReady, format!("Not ready: {}.", obstacles.join(", "))))
}

async fn metrics_page() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], telemetry::prometheus().render())
}

#[derive(Serialize)]
struct ModelObject<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
    waybill: ModelTerms,
}

#[derive(Serialize)]
struct ModelTerms {
    kind: ModelKind,
    container: String,
    digest: String,
    context: Option<u32>,
    /// Nano-credits per 1,000 billable units (prompt and answer).
    price_nc: Option<u64>,
    next_price_nc: Option<u64>,
    regions: Vec<String>,
    /// The promotion slot it holds now.
    #[serde(skip_serializing_if = "Option::is_none")]
    sponsored: Option<Label>,
}

fn model_object<'a>(model: &'a Model, regions: Vec<String>, placements: &[Placement]) -> ModelObject<'a> {
    let held = placements.iter().find(|placement| placement.container == model.container);
    ModelObject {
        id: &model.name,
        object: "model",
        created: model.created,
        owned_by: &model.owned_by,
        waybill: ModelTerms {
            kind: model.kind,
            container: model.container.to_string(),
            digest: model.artifact.to_string(),
            context: model.context,
            price_nc: model.quote.map(|quote| quote.per_1k),
            next_price_nc: model.quote.and_then(|quote| quote.next_per_1k),
            regions,
            sponsored: held.map(Label::from),
        },
    }
}

/// Regions of connected workers that have the model; unknown workers are no failure of a listing.
async fn regions(app: &App) -> impl Fn(&ArtifactId) -> Vec<String> + use<> {
    let workers = app.dispatch.workers().await.unwrap_or_default();
    move |artifact| {
        let mut regions: Vec<String> =
            workers.iter().filter(|w| w.artifacts.contains(artifact)).map(|w| w.region.clone()).collect();
        regions.sort();
        regions.dedup();
        regions
    }
}

async fn list_models(State(app): State<Arc<App>>) -> Response {
    let regions = regions(&app).await;
    let models = app.market.models();
    let placements = app.market.placements();
    let data: Vec<ModelObject<'_>> =
        models.iter().map(|model| model_object(model, regions(&model.artifact), &placements)).collect();
    // Beside the list, never in its order.
    let sponsored = promo::shown(&models, &placements);
    Json(json!({"object": "list", "data": data, "sponsored": sponsored})).into_response()
}

async fn show_model(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let regions = regions(&app).await;
    let model = find_model(&app, &id)?;
    Ok(Json(model_object(&model, regions(&model.artifact), &app.market.placements())).into_response())
}

/// A model by its name, or by `name@digest`, which must be the digest it has now.
fn find_model(app: &App, id: &str) -> Result<Model, ApiError> {
    let (name, digest) = id.split_once('@').map_or((id, None), |(name, digest)| (name, Some(digest)));
    app.market.model(name).filter(|model| digest.is_none_or(|digest| digest == model.artifact.to_string())).ok_or_else(
        || {
            let id: String = id.chars().take(100).collect();
            ApiError::of(
                Kind::ModelNotFound,
                "model",
                format!("The model '{id}' does not exist or you do not have access to it."),
            )
        },
    )
}

/// The model of a request and, when the request opts in, the promotion slot it goes through: that of the model it
/// names, or of the best slot's model when it lets the gateway choose. A request that names a class without a slot gets
/// the class, with the dearest model that may serve it.
fn find_placed(app: &App, id: &str, opts_in: bool) -> Result<Found, ApiError> {
    let chosen = if opts_in { promo::chosen(app.market.as_ref(), id) } else { None };
    let (model, class) = match chosen {
        Some(model) => (model, None),
        None => find_models(app, id)?,
    };
    let placement = if opts_in && class.is_none() { promo::placement(app.market.as_ref(), &model) } else { None };
    Ok((model, class, placement))
}

type Found = (Model, Option<Class>, Option<Placement>);

/// The model that a request names, or the class with the dearest model that may serve it.
fn find_models(app: &App, id: &str) -> Result<(Model, Option<Class>), ApiError> {
    match app.market.class(id) {
        None => Ok((find_model(app, id)?, None)),
        Some(class) => {
            let dearest = class.dearest().cloned().ok_or_else(|| {
                let message =
                    format!("No container of the class '{id}' has a price for this period yet, please try again.");
                ApiError::new(Kind::Overloaded, message)
            })?;
            Ok((dearest, Some(class)))
        }
    }
}

fn require_kind(model: &Model, kind: ModelKind, route: &str) -> Result<(), ApiError> {
    if model.kind == kind {
        return Ok(());
    }
    let message = format!("The model '{}' is not served at {route}.", model.name);
    Err(ApiError::of(Kind::UnsupportedValue, "model", message))
}

async fn chat(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Extension(request_id): Extension<RequestId>,
    Extension(Arrived(arrived)): Extension<Arrived>,
    request: Request,
) -> Result<Response, ApiError> {
    let bytes = body::read(request, app.config.limits.body_bytes, app.config.times.read_body).await?;
    let parsed = ChatRequest::parse(&bytes)?;
    drop(bytes);
    let (model, class, placement) = find_placed(&app, &parsed.model, parsed.sponsored)?;
    require_kind(&model, ModelKind::Chat, "/v1/chat/completions")?;
    let (streamed, include_usage, wish) = (parsed.stream, parsed.include_usage, parsed.wish.clone());
    let (chat, max_units_in) = parsed.bound(&model)?;
    let id = format!("chatcmpl-{}", request_id.0.trim_start_matches("req-"));
    let created = app.market.now_ms() / 1000;
    let answer = |model: &Model| Answer {
        id,
        created,
        model: model.name.clone(),
        fingerprint: format!("fp_{}", &model.artifact.to_string()[..12]),
        sponsored: placement.as_ref().map(Label::from),
    };
    let call = Call {
        request_id,
        model,
        class,
        max_units_in,
        max_units_out: chat.max_tokens,
        input: Input { kind: Some(InputKind::Chat(chat)) },
        wish,
        placement,
        streamed,
        first_event: app.config.times.chat_first_event,
        arrived,
    };
    if streamed {
        let mut running = paid::open(&app, &caller, call).await?;
        // Still an ordinary error, with its status, when the worker begins with one.
        let first = match running.next().await {
            Ok(event) => event,
            Err(error) => return Err(running.end("worker_failed", error)),
        };
        let headers = paid_headers(&running);
        let (sender, frames) = stream::channel();
        let times = &app.config.times;
        let style = stream::Style {
            answer: answer(&running.model),
            include_usage,
            ping: times.ping,
            stalled: times.stalled_consumer,
        };
        app.tasks.spawn(stream::relay(running, first, style, caller, sender));
        let event_stream = [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-cache"),
            (HeaderName::from_static("x-accel-buffering"), "no"),
        ];
        return Ok((headers, event_stream, stream::body(frames)).into_response());
    }
    let max_tokens = call.max_units_out;
    let (headers, model, text, finish, settled) = whole(&app, &caller, call, || Text::new(max_tokens, true)).await?;
    let answer = answer(&model);
    Ok((headers, json_body(answer.completion(text.content(), finish, usage(&settled.receipt)))).into_response())
}

async fn embed(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Extension(request_id): Extension<RequestId>,
    Extension(Arrived(arrived)): Extension<Arrived>,
    request: Request,
) -> Result<Response, ApiError> {
    let bytes = body::read(request, app.config.limits.body_bytes, app.config.times.read_body).await?;
    let parsed = EmbeddingsRequest::parse(&bytes)?;
    drop(bytes);
    let (model, class, placement) = find_placed(&app, &parsed.model, parsed.sponsored)?;
    require_kind(&model, ModelKind::Embedding, "/v1/embeddings")?;
    let (encoding, wish) = (parsed.encoding, parsed.wish.clone());
    let (embed, max_units_in) = parsed.bound(&model);
    let items = embed.items.len();
    let call = Call {
        request_id,
        model,
        class,
        max_units_in,
        max_units_out: 0,
        input: Input { kind: Some(InputKind::Embed(embed)) },
        wish,
        placement,
        streamed: false,
        first_event: app.config.times.embeddings_first_event,
        arrived,
    };
    let (headers, model, rows, _, settled) = whole(&app, &caller, call, || Rows::new(items)).await?;
    let sponsored = placement.as_ref().map(Label::from);
    let units_in = settled.receipt.units_in;
    let body = embeddings::render(&model.name, rows.values(), rows.dims(), encoding, units_in, sponsored.as_ref());
    Ok((headers, json_body(body)).into_response())
}

/// Headers, the model that answered, output, end and charge.
type Whole<O> = (HeaderMap, Model, O, Finish, Settled);

/// Runs a call whose answer leaves as a whole. Nothing has left when its line turns out to be broken, so it may run once
/// more, as a new order; the first one costs nothing.
async fn whole<O: Output>(
    app: &Arc<App>,
    caller: &Caller,
    call: Call,
    output: impl Fn() -> O,
) -> Result<Whole<O>, ApiError> {
    match collect(app, caller, call.clone(), output()).await {
        Err(Unsettled::LineBroken(error)) => {
            tracing::info!(request = %call.request_id, %error, "an answer whose line was broken is produced again");
            metrics::counter!("waybill_repeated_calls_total").increment(1);
            tokio::time::sleep(MENDING).await;
            Ok(collect(app, caller, call, output()).await?)
        }
        outcome => Ok(outcome?),
    }
}

/// Collects in a task of its own, which learns from a dropped sender that this request is gone.
async fn collect<O: Output>(app: &Arc<App>, caller: &Caller, call: Call, output: O) -> Result<Whole<O>, Unsettled> {
    let running = paid::open(app, caller, call).await?;
    let mut headers = paid_headers(&running);
    let model = running.model.clone();
    let (_waiting, gone) = oneshot::channel();
    let collecting = app.tasks.spawn(running.collect(output, gone));
    let (output, finish, settled) = collecting.await.unwrap_or_else(|panic| Err(ApiError::internal(panic).into()))?;
    headers.insert(CHARGE, settled.receipt.price_nc.into());
    Ok((headers, model, output, finish, settled))
}

fn json_body(json: String) -> ([(HeaderName, &'static str); 1], Body) {
    ([(header::CONTENT_TYPE, "application/json")], json.into())
}

const CHARGE: HeaderName = HeaderName::from_static("x-waybill-charge-nc");

/// What the answer says about who worked at which price; the receipt has the same name as the request.
fn paid_headers(running: &Running) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    put("x-waybill-receipt", running.request_id.to_string());
    put("x-waybill-price-nc", running.quote.per_1k.to_string());
    put("x-waybill-worker", running.worker.to_string());
    put("x-waybill-region", running.region.clone());
    put("x-waybill-model-digest", running.model.artifact.to_string());
    put("x-waybill-attempts", running.attempts.to_string());
    if let Some(placement) = &running.placement {
        put("x-waybill-sponsored", Label::from(placement).header());
    }
    headers
}
