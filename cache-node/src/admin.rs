//! The HTTP door for operators: `/metrics`, `/healthz` (the process answers), `/readyz` (it takes clients).

use std::net::TcpListener;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::metrics::Metrics;
use crate::node::Node;

struct Admin {
    node: Arc<Node>,
    metrics: Metrics,
}

/// Serves until dropped.
pub(crate) async fn serve(listener: TcpListener, node: Arc<Node>) -> std::io::Result<()> {
    let metrics = Metrics::new(&node.config.version);
    let routes = Router::new()
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readiness))
        .with_state(Arc::new(Admin { node, metrics }));
    axum::serve(tokio::net::TcpListener::from_std(listener)?, routes).await
}

async fn metrics_text(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let text = admin.metrics.render(&admin.node);
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
}

async fn readiness(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    if admin.node.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n");
    }
    (StatusCode::OK, "ready\n")
}
