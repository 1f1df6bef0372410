//! Signing in and out.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Form, Router};
use serde::Deserialize;

use super::page::{self, PageError, Posted};
use super::{ClientAddress, Signed, Web, address};
use crate::authentication::TokenError;

#[derive(Template)]
#[template(path = "sign-in.html")]
struct SignInPage {
    error: Option<&'static str>,
}

#[derive(Deserialize)]
struct SignIn {
    #[serde(default)]
    token: String,
}

/// The routes for people who are not signed in.
pub(super) fn entering() -> Router<Arc<Web>> {
    Router::new().route("/sign-in", get(ask).post(sign_in))
}

/// The routes for people who are signed in.
pub(super) fn leaving() -> Router<Arc<Web>> {
    Router::new().route("/sign-out", post(sign_out))
}

async fn ask(State(web): State<Arc<Web>>, from: ClientAddress, headers: HeaderMap) -> Response {
    if web.gate.session(&headers, address(&from)).is_some() {
        return Redirect::to("/integrations").into_response();
    }
    page::show(&SignInPage { error: None })
}

async fn sign_in(State(web): State<Arc<Web>>, from: ClientAddress, Form(form): Form<SignIn>) -> Response {
    if web.gate.is_behind_proxy() {
        return PageError::new(StatusCode::FORBIDDEN, "people sign in at the proxy").into_response();
    }
    // The command that made another token may have failed to report it.
    web.gate.refresh_token().await;
    match web.gate.sign_in(&form.token, address(&from)) {
        Ok(cookie) => with_cookie(Redirect::to("/integrations").into_response(), &cookie),
        Err(TokenError::Wrong) => {
            tracing::warn!("a wrong sign-in token was sent from {}", address(&from));
            let error = Some("Wrong token. `connector-host token` makes a new one.");
            page::show_as(StatusCode::FORBIDDEN, &SignInPage { error })
        }
        Err(TokenError::TooManyAttempts) => {
            let error = Some("Too many attempts. Wait a minute.");
            page::show_as(StatusCode::TOO_MANY_REQUESTS, &SignInPage { error })
        }
    }
}

async fn sign_out(State(web): State<Arc<Web>>, Extension(session): Signed, _: Posted) -> Response {
    with_cookie(Redirect::to("/sign-in").into_response(), &web.gate.sign_out(&session))
}

fn with_cookie(mut answer: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        answer.headers_mut().insert(header::SET_COOKIE, value);
    }
    answer
}
