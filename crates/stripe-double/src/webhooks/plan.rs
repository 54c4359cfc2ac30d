//! Which deliveries an event has, as faults would have it.

use crate::{
    faults::{Faults, Hit, WebhookKind},
    ids,
    ledger::Ledger,
    model::{Delivery, DeliveryState, Event, Form, WebhookEndpoint},
};

#[derive(Debug, Default)]
pub struct Plan {
    pub deliveries: Vec<Delivery>,
    /// The ids of those that precede the response.
    pub before_response: Vec<String>,
}

impl Plan {
    /// The event to each endpoint that receives its type.
    pub fn add(&mut self, event: &Event, ledger: &Ledger, faults: &Faults, now_ms: u64) {
        for endpoint in ledger.webhook_endpoints.values().filter(|it| it.receives(&event.kind)) {
            self.add_for(event, endpoint, faults.hit_webhook(&event.kind), now_ms);
        }
    }

    fn add_for(
        &mut self,
        event: &Event,
        endpoint: &WebhookEndpoint,
        fault: Option<Hit<WebhookKind>>,
        now_ms: u64,
    ) {
        let delay_ms = fault.map_or(0, Hit::delay_ms);
        let delivery = |form: Form| Delivery {
            id: ids::new("whd"),
            created: now_ms / 1000,
            event: event.id.clone(),
            endpoint: endpoint.id.clone(),
            form,
            state: DeliveryState::Pending { at_ms: now_ms + delay_ms },
            is_held_back: false,
            attempts: Vec::new(),
        };
        let as_is = || delivery(Form::AsIs);
        match fault.map(|fault| fault.kind) {
            None | Some(WebhookKind::Delayed) => self.deliveries.push(as_is()),
            Some(WebhookKind::Duplicated) => self.deliveries.extend([as_is(), as_is()]),
            Some(WebhookKind::Reordered) => {
                self.deliveries.push(Delivery { is_held_back: true, ..as_is() });
            }
            Some(WebhookKind::BeforeResponse) => {
                let first = as_is();
                self.before_response.push(first.id.clone());
                self.deliveries.push(first);
            }
            Some(WebhookKind::Lost) => {
                self.deliveries.push(Delivery { state: DeliveryState::Lost, ..as_is() });
            }
            Some(WebhookKind::UnknownType) => {
                self.deliveries.extend([delivery(Form::UnknownType), as_is()]);
            }
            Some(WebhookKind::UnknownVersion) => {
                self.deliveries.push(delivery(Form::UnknownVersion));
            }
            Some(WebhookKind::Forged) => self.deliveries.extend([delivery(Form::Forged), as_is()]),
            Some(WebhookKind::Stale) => self.deliveries.extend([as_is(), delivery(Form::Stale)]),
        }
    }
}
