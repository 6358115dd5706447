//! The live page's server: the page, its stream of events, `/metrics`. A thread of its own that the run never waits for:
//! a browser that is slow or stays open loses messages, not the run.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use tokio::sync::{broadcast, oneshot};

use super::board::{Board, Button, Done, Facts, Message};
use super::orders::{Desk, Order, Refusal, is_meant_for_us};
use super::status::{Status, Tone};
use super::{Observer, Update, metrics, page};
use crate::measure::outcome::Outcome;
use crate::report::{Verdict, words};

/// What the page's own requests carry.
const ORDER_HEADER: &str = "x-loadtest-order";
/// Messages a slow browser may fall behind before it is given everything anew.
const QUEUE_MAX: usize = 64;
/// What open streams are given to hear the end.
const GOODBYE: Duration = Duration::from_millis(300);

/// Between the run and the browsers.
struct Hub {
    board: Mutex<Board>,
    /// Who takes orders, if anybody does.
    desk: Option<Desk>,
    messages: broadcast::Sender<Arc<Message>>,
}

impl Hub {
    fn board(&self) -> MutexGuard<'_, Board> {
        // A panic while it was held left figures, not a broken structure.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, message: Message) {
        // Nobody listens: nothing to do.
        let _ = self.messages.send(Arc::new(message));
    }
}

/// The page while the run goes on. Dropping it ends the server.
pub struct Live {
    hub: Arc<Hub>,
    addresses: Vec<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The page could not be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve the live page on {address}: {source}")]
pub struct ServeError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Serves on every one of `addresses`.
///
/// # Errors
/// An address is taken, or is not ours.
pub fn serve(addresses: &[SocketAddr], facts: Facts) -> Result<Live, ServeError> {
    serve_with(addresses, facts, None)
}

/// The same, with buttons. Whoever can reach the page can press them, so none are offered beyond this machine.
///
/// # Errors
/// An address is taken, or is not ours.
pub fn serve_with(
    addresses: &[SocketAddr],
    mut facts: Facts,
    desk: Option<Desk>,
) -> Result<Live, ServeError> {
    let desk = desk.filter(|_| addresses.iter().all(|address| address.ip().is_loopback()));
    facts.orders = desk
        .iter()
        .flat_map(Desk::offered)
        .map(|order| Button {
            order: *order,
            label: order.label(),
        })
        .collect();
    let mut listeners = Vec::new();
    for address in addresses {
        let refuse = |source| ServeError {
            address: *address,
            source,
        };
        let listener = TcpListener::bind(address).map_err(refuse)?;
        listener.set_nonblocking(true).map_err(refuse)?;
        listeners.push(listener);
    }
    let bound = listeners
        .iter()
        .filter_map(|listener| listener.local_addr().ok())
        .collect();
    let hub = Arc::new(Hub {
        board: Mutex::new(Board::new(facts)),
        desk,
        messages: broadcast::Sender::new(QUEUE_MAX),
    });
    let (stop, stopped) = oneshot::channel();
    let routes = routes(Arc::clone(&hub));
    let thread = std::thread::Builder::new()
        .name("live page".to_owned())
        .spawn({
            let hub = Arc::clone(&hub);
            move || run(listeners, &routes, &hub, stopped)
        })
        .map_err(|source| ServeError {
            address: addresses[0],
            source,
        })?;
    Ok(Live {
        hub,
        addresses: bound,
        stop: Some(stop),
        thread: Some(thread),
    })
}

fn run(listeners: Vec<TcpListener>, routes: &Router, hub: &Hub, stopped: oneshot::Receiver<()>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    runtime.block_on(async {
        let mut servers = tokio::task::JoinSet::new();
        for listener in listeners {
            if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                let routes = routes.clone();
                servers.spawn(async move { axum::serve(listener, routes).await });
            }
        }
        // Ends when it is asked to or when its owner is gone.
        let _ = stopped.await;
        if hub.messages.receiver_count() > 0 {
            tokio::time::sleep(GOODBYE).await;
        }
    });
    // Streams that are still open end here, whoever holds them.
    runtime.shutdown_background();
}

fn routes(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/", get(async || Html(page::text())))
        .route("/events", get(events))
        .route("/orders", post(order))
        .route("/metrics", get(exposition))
        .route("/healthz", get(async || "ok\n"))
        .with_state(hub)
}

async fn exposition(State(hub): State<Arc<Hub>>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, metrics::text(&hub.board()))
}

/// A press of a button. The header cannot be sent from another site's page without asking us first, which we never allow;
/// the host's check keeps out those who point a name of theirs at this machine.
async fn order(State(hub): State<Arc<Hub>>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text(ORDER_HEADER).is_none() || !text("host").is_some_and(is_meant_for_us) {
        return (StatusCode::FORBIDDEN, "not from this page\n".to_owned());
    }
    let Ok(order) = serde_json::from_str::<Order>(&body) else {
        return (StatusCode::BAD_REQUEST, "no such order\n".to_owned());
    };
    let taken = hub
        .desk
        .as_ref()
        .map_or(Err(Refusal::NotOffered), |desk| desk.take(order));
    match taken {
        Ok(()) => (StatusCode::ACCEPTED, format!("{}\n", order.label())),
        Err(refusal) => {
            let status = match refusal {
                Refusal::NotOffered => StatusCode::FORBIDDEN,
                Refusal::Busy => StatusCode::TOO_MANY_REQUESTS,
                Refusal::Over => StatusCode::GONE,
            };
            (status, format!("{refusal}\n"))
        }
    }
}

/// Everything so far, then every message as it comes.
async fn events(State(hub): State<Arc<Hub>>) -> impl IntoResponse {
    // Listening first: what happens in between comes twice rather than never.
    let messages = hub.messages.subscribe();
    let start = ("start", hub.board().snapshot().to_string());
    let stream = Stream {
        hub,
        messages,
        first: Some(Arc::new(start)),
    };
    let events = futures_util::stream::unfold(stream, |mut stream| async {
        let message = stream.next().await?;
        let event = Event::default().event(message.0).data(&message.1);
        Some((Ok::<_, Infallible>(event), stream))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

struct Stream {
    hub: Arc<Hub>,
    messages: broadcast::Receiver<Arc<Message>>,
    first: Option<Arc<Message>>,
}

impl Stream {
    async fn next(&mut self) -> Option<Arc<Message>> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        match self.messages.recv().await {
            Ok(message) => Some(message),
            // Too slow: once more from the start.
            Err(broadcast::error::RecvError::Lagged(_)) => {
                Some(Arc::new(("start", self.hub.board().snapshot().to_string())))
            }
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Live {
    /// Where it listens, in the order asked for.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Tells every browser how the run ended, and where its report is.
    pub fn finish(&self, outcome: &Outcome, report: &Path) {
        let verdict = Verdict::of(outcome);
        let tone = match verdict {
            Verdict::Passed => Tone::Good,
            Verdict::Failed | Verdict::WrongValues | Verdict::Broken => Tone::Bad,
            Verdict::Invalid | Verdict::Interrupted => Tone::Warn,
        };
        let done = Done {
            status: Status {
                word: verdict.word().to_owned(),
                tone,
                sentence: words::headline(outcome),
            },
            report: report.display().to_string(),
        };
        let message = self.hub.board().finish(done);
        self.hub.send(message);
    }
}

impl Observer for Live {
    fn update(&self, update: Update) {
        let message = self.hub.board().take(update);
        if let Some(message) = message {
            self.hub.send(message);
        }
    }

    fn wants_seconds(&self) -> bool {
        true
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A server that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}
