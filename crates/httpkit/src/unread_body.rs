//! What a handler leaves unread of a request's body.
//!
//! A response may be there before the request is complete: of one that is refused by its headers, or because too many are in
//! flight. If the server closed the connection then, while the client still sends, the client would get a reset connection
//! instead of the response (RFC 9112, section 9.6). So the rest is read and discarded, as much as a body may have.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use futures::StreamExt;
use http_body::{Frame, SizeHint};

/// For so long a client may take to send the rest.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A body whose rest is read once it is dropped, if that is at most `limit` bytes.
pub(crate) fn discard_when_dropped(body: Body, limit: usize) -> Body {
    if body.is_end_stream() { body } else { Body::new(DiscardedWhenDropped { body, limit }) }
}

struct DiscardedWhenDropped {
    body: Body,
    limit: usize,
}

impl HttpBody for DiscardedWhenDropped {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for DiscardedWhenDropped {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            return;
        }
        let (body, limit) = (std::mem::take(&mut self.body), self.limit);
        // Without a runtime the server has stopped.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(TIMEOUT, discard(body, limit)));
        }
    }
}

async fn discard(body: Body, limit: usize) {
    let mut left = limit;
    let mut body = body.into_data_stream();
    while let Some(Ok(data)) = body.next().await {
        let Some(less) = left.checked_sub(data.len()) else { return };
        left = less;
    }
}
