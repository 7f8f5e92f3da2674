//! A stand-in for a schema registry, in this process: the two requests that encoders and decoders make.
//! <https://docs.confluent.io/platform/current/schema-registry/develop/api.html>

use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The schemas that were registered; their ids count from 1.
type Schemas = Arc<Mutex<Vec<String>>>;

/// Starts it on a free port; its URL.
pub async fn start() -> std::io::Result<String> {
    let routes = Router::new()
        .route("/subjects/{subject}/versions", post(register))
        .route("/schemas/ids/{id}", get(schema))
        .with_state(Schemas::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(url)
}

async fn register(State(schemas): State<Schemas>, body: String) -> Result<Json<Value>, StatusCode> {
    let body: Value = serde_json::from_str(&body).map_err(|_| StatusCode::UNPROCESSABLE_ENTITY)?;
    let schema = body["schema"].as_str().ok_or(StatusCode::UNPROCESSABLE_ENTITY)?;
    let mut schemas = schemas.lock().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let place = schemas.iter().position(|known| known == schema).unwrap_or_else(|| {
        schemas.push(schema.to_owned());
        schemas.len() - 1
    });
    Ok(Json(json!({ "id": place + 1 })))
}

async fn schema(State(schemas): State<Schemas>, Path(id): Path<usize>) -> Result<Json<Value>, StatusCode> {
    let schemas = schemas.lock().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let found = id.checked_sub(1).and_then(|place| schemas.get(place));
    found.map(|schema| Json(json!({ "schema": schema }))).ok_or(StatusCode::NOT_FOUND)
}
