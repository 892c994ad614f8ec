//! The body of a request on its way through the gate: as it comes over the connection, or as it was kept
//! until its caller had shown a factor.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;

/// The body of a request.
#[derive(Debug)]
pub(super) enum Sent {
    /// It comes over the connection.
    Live(Incoming),
    /// It was kept.
    Kept(Full<Bytes>),
}

impl Body for Sent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Live(body) => Pin::new(body).poll_frame(context),
            Self::Kept(body) => {
                let frame = Pin::new(body).poll_frame(context);
                frame.map(|next| next.map(|frame| frame.map_err(|never| match never {})))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Live(body) => body.is_end_stream(),
            Self::Kept(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Live(body) => body.size_hint(),
            Self::Kept(body) => body.size_hint(),
        }
    }
}
