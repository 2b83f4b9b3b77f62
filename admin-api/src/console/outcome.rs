//! What came of a form: done, done before, or wrong in a way that its sender can mend.

use crate::http::reply::{Otherwise, Reply};
use crate::issuing::IssueError;
use crate::model::Effect;
use crate::problem::{Code, Problem};

/// What a handler of the API answered to a form.
pub(super) enum Outcome<T> {
    /// It was done.
    Done(T),
    /// The same form was sent before, and was done then.
    Repeated,
    /// The form is to be shown again, with this.
    Wrong(Problem),
}

/// Sorts an answer. What no form can mend stays a failure.
pub(super) fn of<T>(answer: Result<Reply<T>, Otherwise>) -> Result<Outcome<T>, Otherwise> {
    let error = match answer {
        Ok(reply) => return Ok(Outcome::Done(reply.into_body())),
        Err(otherwise) => otherwise.into_error(),
    };
    if matches!(error, IssueError::Replay(_)) {
        return Ok(Outcome::Repeated);
    }
    let problem = error.into_problem().map_err(Otherwise::from)?;
    match problem.code {
        Code::ClaimsInvalid | Code::Conflict | Code::ImportRefused | Code::Invalid | Code::SeedUnavailable => {
            Ok(Outcome::Wrong(problem))
        }
        _ => Err(problem.into()),
    }
}

/// Passes when a change was made, now or by the same form before.
pub(super) fn done<T>(answer: Result<T, Otherwise>) -> Result<(), Otherwise> {
    match answer.map_err(Otherwise::into_error) {
        Ok(_) | Err(IssueError::Replay(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The effect that a dry run answered.
pub(super) fn effect<T>(answer: Result<T, Otherwise>) -> Result<Effect, Otherwise> {
    match answer.map_err(Otherwise::into_error) {
        Err(IssueError::DryRun(effect)) => Ok(*effect),
        Err(error) => Err(error.into()),
        Ok(_) => Err(Problem::internal(&"a dry run did not stop").into()),
    }
}
