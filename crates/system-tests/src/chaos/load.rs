//! What all clients share, and what each of them plans.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::at_stripe::AtStripe;
use super::gateway_client::GatewayClient;
use super::shared_state::{Reservation, SharedState};

/// Shared by all clients.
pub struct Load {
    pub gateway: GatewayClient,
    pub at_stripe: AtStripe,
    pub seed: u64,
    pub reservation: Duration,
    state: Mutex<SharedState>,
    stopped: AtomicBool,
    samples: Mutex<Vec<usize>>,
}

impl Load {
    pub fn new(
        gateway: GatewayClient,
        at_stripe: AtStripe,
        seed: u64,
        reservation: Duration,
    ) -> Self {
        Load {
            gateway,
            at_stripe,
            seed,
            reservation,
            state: Mutex::default(),
            stopped: AtomicBool::new(false),
            samples: Mutex::default(),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, SharedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests were in flight.
    pub fn samples(&self) -> MutexGuard<'_, Vec<usize>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until [`Load::stop`].
    pub fn is_running(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed)
    }

    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// What a client is going to pay just before its reservation expires.
#[derive(Default)]
pub struct Plans(Vec<(Instant, Reservation)>);

impl Plans {
    pub fn add(&mut self, at: Instant, reservation: Reservation) {
        self.0.push((at, reservation));
    }

    pub fn due(&mut self) -> Option<Reservation> {
        let now = Instant::now();
        let index = self.0.iter().position(|(at, _)| *at <= now)?;
        Some(self.0.swap_remove(index).1)
    }
}
