//! Functions of addresses, as CEL's network extension has them.

use std::net::IpAddr;

use crate::expr::EvalError;
use crate::expr::eval::{Evaluated, no_overload};
use crate::expr::net::Net;
use crate::expr::value::Val;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Ip,
    Cidr,
    IsIp,
    IsCidr,
    IsCanonical,
    Family,
    IsUnspecified,
    IsLoopback,
    IsGlobalUnicast,
    IsLinkLocalMulticast,
    IsLinkLocalUnicast,
    ContainsIp,
    ContainsCidr,
    AddressOf,
    Masked,
    PrefixLength,
}

impl Operation {
    pub(crate) fn global(name: &str, args: usize) -> Option<Self> {
        Some(match (name, args) {
            ("ip", 1) => Operation::Ip,
            ("cidr", 1) => Operation::Cidr,
            ("isIP", 1) => Operation::IsIp,
            ("isCIDR", 1) => Operation::IsCidr,
            ("ip.isCanonical", 1) => Operation::IsCanonical,
            _ => return None,
        })
    }

    pub(crate) fn method(name: &str, args: usize) -> Option<Self> {
        Some(match (name, args) {
            ("family", 0) => Operation::Family,
            ("isUnspecified", 0) => Operation::IsUnspecified,
            ("isLoopback", 0) => Operation::IsLoopback,
            ("isGlobalUnicast", 0) => Operation::IsGlobalUnicast,
            ("isLinkLocalMulticast", 0) => Operation::IsLinkLocalMulticast,
            ("isLinkLocalUnicast", 0) => Operation::IsLinkLocalUnicast,
            ("containsIP", 1) => Operation::ContainsIp,
            ("containsCIDR", 1) => Operation::ContainsCidr,
            ("ip", 0) => Operation::AddressOf,
            ("masked", 0) => Operation::Masked,
            ("prefixLength", 0) => Operation::PrefixLength,
            _ => return None,
        })
    }
}

pub(crate) fn call<'a>(operation: Operation, args: &[Val<'a>]) -> Evaluated<'a> {
    use Operation::{
        AddressOf, Cidr, ContainsCidr, ContainsIp, Family, Ip, IsCanonical, IsCidr,
        IsGlobalUnicast, IsIp, IsLinkLocalMulticast, IsLinkLocalUnicast, IsLoopback, IsUnspecified,
        Masked, PrefixLength,
    };
    let flag = |flag: bool| Ok(Val::Bool(flag));
    let net = |parsed: Result<Net, String>| parsed.map_err(EvalError::new);
    match (operation, args) {
        (Ip, [Val::Str(text)]) => net(Net::parse_ip(text.as_str())).map(Val::Net),
        (Cidr, [Val::Str(text)]) => net(Net::parse_cidr(text.as_str())).map(Val::Net),
        (IsIp, [Val::Str(text)]) => flag(Net::parse_ip(text.as_str()).is_ok()),
        (IsCidr, [Val::Str(text)]) => flag(Net::parse_cidr(text.as_str()).is_ok()),
        (IsCanonical, [Val::Str(text)]) => {
            let ip = net(Net::parse_ip(text.as_str()))?;
            flag(ip.to_string() == text.as_str())
        }
        (Family, [Val::Net(Net::Ip(ip))]) => {
            Ok(Val::Int(if ip.to_canonical().is_ipv4() { 4 } else { 6 }))
        }
        (IsUnspecified, [Val::Net(Net::Ip(ip))]) => flag(ip.is_unspecified()),
        (IsLoopback, [Val::Net(Net::Ip(ip))]) => flag(ip.to_canonical().is_loopback()),
        (IsGlobalUnicast, [Val::Net(Net::Ip(ip))]) => flag(global_unicast(ip.to_canonical())),
        (IsLinkLocalMulticast, [Val::Net(Net::Ip(ip))]) => flag(match ip.to_canonical() {
            IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
            IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
        }),
        (IsLinkLocalUnicast, [Val::Net(Net::Ip(ip))]) => flag(link_local(ip.to_canonical())),
        (ContainsIp, [Val::Net(range @ Net::Cidr(..)), Val::Net(ip @ Net::Ip(_))]) => {
            flag(range.contains(*ip))
        }
        (ContainsIp, [Val::Net(range @ Net::Cidr(..)), Val::Str(text)]) => {
            flag(range.contains(net(Net::parse_ip(text.as_str()))?))
        }
        (
            ContainsCidr,
            [
                Val::Net(range @ Net::Cidr(..)),
                Val::Net(inner @ Net::Cidr(..)),
            ],
        ) => flag(range.contains(*inner)),
        (ContainsCidr, [Val::Net(range @ Net::Cidr(..)), Val::Str(text)]) => {
            flag(range.contains(net(Net::parse_cidr(text.as_str()))?))
        }
        (AddressOf, [Val::Net(Net::Cidr(ip, _))]) => Ok(Val::Net(Net::Ip(*ip))),
        (Masked, [Val::Net(range @ Net::Cidr(..))]) => Ok(Val::Net(range.masked())),
        (PrefixLength, [Val::Net(Net::Cidr(_, len))]) => Ok(Val::Int(i64::from(*len))),
        _ => {
            let args: Vec<&Val<'_>> = args.iter().collect();
            Err(no_overload(&format!("{operation:?}"), &args))
        }
    }
}

fn link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    }
}

fn global_unicast(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(broadcast || ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || link_local(ip))
}
