//! Calls that are refused: Godot's error for them, and what the log says.

use godot::global::{Error, push_error};
use godot::prelude::ToGodot;
use sortie::{Reason, Refusal};

/// A refused call.
pub(crate) struct Refused {
    error: Error,
    message: String,
}

impl Refused {
    pub(crate) fn new(error: Error, message: impl Into<String>) -> Refused {
        Refused { error, message: message.into() }
    }

    pub(crate) fn argument(message: impl Into<String>) -> Refused {
        Refused::new(Error::ERR_INVALID_PARAMETER, message)
    }

    /// Whether what was asked about is gone, which is no mistake.
    pub(crate) fn is_stale(&self) -> bool {
        self.error == Error::ERR_DOES_NOT_EXIST
    }

    /// Writes it to Godot's log as an error of `what`, and gives the error's number.
    pub(crate) fn report(&self, what: &str) -> Error {
        push_error(&[format!("{what}: {}", self.message).to_variant()]);
        self.error
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        let error = match refusal.reason {
            Reason::Path => Error::ERR_FILE_BAD_PATH,
            Reason::BodyTooLarge => Error::ERR_OUT_OF_MEMORY,
            Reason::Busy => Error::ERR_BUSY,
            Reason::Stale | Reason::NotFound => Error::ERR_DOES_NOT_EXIST,
            Reason::TooManyRequests => Error::ERR_CANT_ACQUIRE_RESOURCE,
            Reason::System => Error::ERR_CANT_CREATE,
            Reason::Shutdown => Error::ERR_UNAVAILABLE,
            Reason::Internal => Error::ERR_BUG,
            Reason::NullArgument
            | Reason::StructSize
            | Reason::Utf8
            | Reason::Url
            | Reason::Scheme
            | Reason::Method
            | Reason::Header
            | Reason::Argument => Error::ERR_INVALID_PARAMETER,
        };
        Refused { error, message: refusal.message }
    }
}

/// What a call gives to Godot: OK, or the error after it has been written to the log.
pub(crate) fn outcome(what: &str, result: Result<(), Refused>) -> Error {
    match result {
        Ok(()) => Error::OK,
        Err(refused) => refused.report(what),
    }
}
