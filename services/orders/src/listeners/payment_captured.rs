//! `payment.captured`: the card was charged. The order has been complete before, or somebody else has captured what was
//! authorised: then it is answered as the authorisation would have been.

use bus::Failure;
use common::events::PaymentCaptured;

use super::payment_created::answer;
use crate::state::App;

pub async fn handle(app: App, PaymentCaptured(payment): PaymentCaptured) -> Result<(), Failure> {
    answer(&app, &payment).await
}
