//! Asks the running server, over its Unix socket.

use std::{
    error::Error,
    io::Write,
    path::{Path, PathBuf},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    header,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::configuration::Configuration;

/// A client of the administration's API.
pub(super) struct Client {
    socket: PathBuf,
    data: PathBuf,
}

impl Client {
    pub(super) fn new(data: &Path) -> Result<Self, Box<dyn Error>> {
        let configuration = Configuration::load(data)?;
        Ok(Self {
            socket: configuration.path(&configuration.server.admin_socket),
            data: data.to_owned(),
        })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, Box<dyn Error>> {
        self.send("GET", path, Vec::new()).await
    }

    pub(super) async fn send_json(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Value, Box<dyn Error>> {
        self.request(method, path, "application/json", serde_json::to_vec(body)?)
            .await
    }

    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Value, Box<dyn Error>> {
        self.request(method, path, "application/xml", body).await
    }

    /// Every page of a list, by the key that orders it.
    pub(super) async fn pages(
        &self,
        path: &str,
        list: &str,
        key: &str,
    ) -> Result<Vec<Value>, Box<dyn Error>> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all
                .last()
                .and_then(|last| last[key].as_str())
                .map(|last| super::path(&[last])["/api/v1/".len()..].to_owned());
            let query = after.map_or_else(String::new, |after| format!("?after={after}"));
            let page = self.get(&format!("{path}{query}")).await?;
            match page[list].as_array() {
                Some(items) if !items.is_empty() => all.extend(items.iter().cloned()),
                _ => return Ok(all),
            }
        }
    }

    /// Writes an answer as it comes, to its end.
    pub(super) async fn download(
        &self,
        path: &str,
        out: &mut impl Write,
    ) -> Result<(), Box<dyn Error>> {
        let response = self.answer("GET", path, "", Vec::new()).await?;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            let body = body.collect().await?.to_bytes();
            let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
            let said = answer["error"].as_str();
            return Err(said
                .map_or_else(|| format!("the server answered {status}"), str::to_owned)
                .into());
        }
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                format!("the server stopped sending ({error}); its log says why")
            })?;
            if let Some(part) = frame.data_ref() {
                out.write_all(part)?;
            }
        }
        Ok(())
    }

    async fn request(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Value, Box<dyn Error>> {
        let response = self.answer(method, path, content_type, body).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let answer: Value = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).unwrap_or_default()
        };
        if status.is_success() {
            return Ok(answer);
        }
        match answer["error"].as_str() {
            Some(error) => Err(error.into()),
            None => Err(format!(
                "the server answered {status}: {}",
                String::from_utf8_lossy(&body).trim()
            )
            .into()),
        }
    }

    async fn answer(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, Box<dyn Error>> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| {
            format!(
                "{}: {error}; is the server running? `lanyard serve --data {}` starts it",
                self.socket.display(),
                self.data.display()
            )
        })?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "lanyard")
            .header(header::CONTENT_TYPE, content_type)
            .body(Full::new(Bytes::from(body)))?;
        Ok(sender.send_request(request).await?)
    }
}
