//! What `cargo xtask images` builds and checks.

/// An image that is built from the Dockerfile.
pub struct Image {
    /// The name of its folder and its binary.
    pub program: String,
    pub folder: String,
    /// The name of its process in `up`.
    pub process: String,
}

impl Image {
    pub fn tag(&self) -> String {
        format!("ticketing/{}", self.program)
    }

    /// Its container's name in infra/images/run.
    pub fn container(&self) -> String {
        format!("ticketing-{}", self.program)
    }
}
