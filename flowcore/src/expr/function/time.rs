//! Parts of instants and spans: `t.getHours()`, `t.getDayOfWeek('Europe/Paris')`.

use crate::expr::EvalError;
use crate::expr::civil::{Instant, zone_offset};
use crate::expr::eval::{Evaluated, no_overload};
use crate::expr::value::Val;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

impl Part {
    pub(crate) fn named(name: &str, args: usize) -> Option<Self> {
        if args > 1 {
            return None;
        }
        Some(match name {
            "getFullYear" => Part::FullYear,
            "getMonth" => Part::Month,
            "getDate" => Part::Date,
            "getDayOfMonth" => Part::DayOfMonth,
            "getDayOfWeek" => Part::DayOfWeek,
            "getDayOfYear" => Part::DayOfYear,
            "getHours" => Part::Hours,
            "getMinutes" => Part::Minutes,
            "getSeconds" => Part::Seconds,
            "getMilliseconds" => Part::Milliseconds,
            _ => return None,
        })
    }
}

pub(crate) fn part<'a>(part: Part, args: &[Val<'a>]) -> Evaluated<'a> {
    match args {
        [Val::Timestamp(instant)] => Ok(Val::Int(of_instant(part, *instant, 0))),
        [Val::Timestamp(instant), Val::Str(zone)] => {
            let offset = zone_offset(zone.as_str(), *instant);
            let offset = offset
                .ok_or_else(|| EvalError::new(format!("unknown time zone `{}`", zone.as_str())))?;
            Ok(Val::Int(of_instant(part, *instant, offset)))
        }
        [Val::Duration(span)] => Ok(Val::Int(match part {
            Part::Hours => span.seconds() / 3_600,
            Part::Minutes => span.seconds() / 60,
            Part::Seconds => span.seconds(),
            Part::Milliseconds => span.milliseconds(),
            _ => return Err(no_overload(&format!("get{part:?}"), &[&args[0]])),
        })),
        _ => Err(no_overload(
            &format!("get{part:?}"),
            &args.iter().collect::<Vec<_>>(),
        )),
    }
}

fn of_instant(part: Part, instant: Instant, offset: i64) -> i64 {
    let fields = instant.fields(offset);
    match part {
        Part::FullYear => fields.year,
        Part::Month => fields.month - 1,
        Part::Date => fields.day,
        Part::DayOfMonth => fields.day - 1,
        Part::DayOfWeek => fields.weekday,
        Part::DayOfYear => fields.year_day,
        Part::Hours => fields.second_of_day / 3_600,
        Part::Minutes => fields.second_of_day / 60 % 60,
        Part::Seconds => fields.second_of_day % 60,
        Part::Milliseconds => instant.milliseconds(),
    }
}
