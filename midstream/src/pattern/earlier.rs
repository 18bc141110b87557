//! What a condition can ask of the events that a partial match has taken.

/// Which of the events that a step took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    First,
    Last,
    Sum,
    Average,
    Least,
    Greatest,
    Count,
}

/// A number, or any value, from the events that a partial match has taken: `times * pick(step.field) + plus`.
///
/// Where the step took nothing yet there is no value and the comparison does not hold, unless
/// [`Earlier::or_none`] says so. A step may refer to itself: that is what it took before this event.
#[derive(Clone, Debug, PartialEq)]
pub struct Earlier {
    pub(crate) step: String,
    pub(crate) field: Option<String>,
    pub(crate) pick: Pick,
    pub(crate) times: f64,
    pub(crate) plus: f64,
    pub(crate) none_holds: bool,
}

impl Earlier {
    fn of(step: &str, field: Option<&str>, pick: Pick) -> Self {
        Self {
            step: step.to_owned(),
            field: field.map(str::to_owned),
            pick,
            times: 1.0,
            plus: 0.0,
            none_holds: false,
        }
    }

    /// The field of the step's first event.
    pub fn first(step: &str, field: &str) -> Self {
        Self::of(step, Some(field), Pick::First)
    }

    /// The field of the step's last event.
    pub fn last(step: &str, field: &str) -> Self {
        Self::of(step, Some(field), Pick::Last)
    }

    /// The sum of the field over the step's events; 0 of none.
    pub fn sum(step: &str, field: &str) -> Self {
        Self::of(step, Some(field), Pick::Sum)
    }

    /// The mean of the field over the step's events.
    pub fn average(step: &str, field: &str) -> Self {
        Self::of(step, Some(field), Pick::Average)
    }

    /// The smallest of the field over the step's events.
    pub fn least(step: &str, field: &str) -> Self {
        Self::of(step, Some(field), Pick::Least)
    }

    /// The largest of the field over the step's events.
    pub fn greatest(step: &str, field: &str) -> Self {
        Self::of(step, Some(field), Pick::Greatest)
    }

    /// How many events the step took; 0 of none.
    pub fn count(step: &str) -> Self {
        Self::of(step, None, Pick::Count)
    }

    /// The number times this.
    #[must_use]
    pub fn times(mut self, factor: f64) -> Self {
        self.times *= factor;
        self.plus *= factor;
        self
    }

    /// The number plus this.
    #[must_use]
    pub fn plus(mut self, summand: f64) -> Self {
        self.plus += summand;
        self
    }

    /// The comparison holds where the step took nothing yet.
    #[must_use]
    pub fn or_none(mut self) -> Self {
        self.none_holds = true;
        self
    }
}
