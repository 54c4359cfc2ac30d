//! The domain's refusals as problems.

use common::problem;
use httpkit::Error;

use crate::domain::ResendRefusal;

impl From<ResendRefusal> for Error {
    fn from(refusal: ResendRefusal) -> Error {
        match refusal {
            ResendRefusal::NotComplete => Error::refused(
                &problem::ORDER_NOT_COMPLETE,
                "Only the confirmation of a paid order can be sent again.",
            ),
            ResendRefusal::TooOften(wait) => Error::too_many_requests(
                "The confirmation was sent a moment ago, or several times today. Look into your spam folder, too.",
                wait,
            ),
        }
    }
}
