//! Frames: steps apply to the page itself until a frame is entered.

use fantoccini::Locator;

use super::command::Extension;
use super::{Browser, passing};

impl Browser {
    /// Continues in the frame with this title.
    pub async fn enters_frame(&self, title: &str) {
        let selector = format!("iframe[title='{title}']");
        self.retry_for(&format!("to enter the frame {title}"), async || {
            let frame = passing(self.session.find(Locator::Css(&selector)).await)?;
            passing(frame.enter_frame().await)
        })
        .await;
    }

    /// Continues in the page itself, also if the frame has disappeared.
    pub async fn leaves_frame(&self) {
        self.session.issue_cmd(Extension::top_frame()).await.expect("there is a page");
    }
}
