//! What happens because its time has come.

use std::time::Duration;

use super::App;
use crate::{
    clock::to_ms,
    deadlines,
    errors::ApiError,
    ledger::{Change, Entry},
};

impl App {
    /// Sets the clock ahead of the system's.
    pub async fn advance(&self, by: Duration) -> Result<u64, ApiError> {
        let offset_ms = self.time.offset_ms().saturating_add(to_ms(by));
        let entry = Entry { changes: vec![Change::ClockOffset(offset_ms)], saved: None };
        self.commit(entry, self.time.now_ms()).await?;
        self.time.set_offset_ms(offset_ms);
        self.settle_due().await?;
        Ok(self.time.now_ms())
    }

    /// Executes what is due, so that no request sees an object as it was before its deadline.
    pub async fn settle_due(&self) -> Result<(), ApiError> {
        let due = self.ledger().due(self.time.now_ms());
        for id in due {
            let intent = self.ledger().intent_of(&id);
            let _guards = self.locks.lock(&Vec::from_iter(intent)).await;
            let now_ms = self.time.now_ms();
            let staged = {
                let ledger = self.ledger();
                let mut transaction = self.begin(&ledger, now_ms, None);
                deadlines::settle(&id, &mut transaction);
                self.finish(transaction)
            };
            self.commit(Entry { changes: staged.changes, saved: None }, now_ms).await?;
        }
        Ok(())
    }
}
