//! What a user, a session and an API token never are for longer than a moment.

use store::Promise;

pub const PROMISES: [Promise; 3] = [
    Promise::published("users_are_published", "users"),
    Promise::published("sessions_are_published", "sessions"),
    Promise::published("api_tokens_are_published", "api_tokens"),
];
