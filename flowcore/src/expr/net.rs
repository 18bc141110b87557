//! Addresses of networks: `ip('10.0.0.1')` and `cidr('10.0.0.0/8')`.

use std::fmt;
use std::net::IpAddr;

/// An address, or a range of addresses by prefix. An IPv6 address that maps an IPv4 one counts as that.
#[derive(Debug, Clone, Copy)]
pub enum Net {
    /// One address.
    Ip(IpAddr),
    /// An address with the number of leading bits that name the network.
    Cidr(IpAddr, u8),
}

impl PartialEq for Net {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Net::Ip(a), Net::Ip(b)) => a.to_canonical() == b.to_canonical(),
            (Net::Cidr(a, a_len), Net::Cidr(b, b_len)) => a == b && a_len == b_len,
            _ => false,
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Net::Ip(ip) => ip.fmt(out),
            Net::Cidr(ip, len) => write!(out, "{ip}/{len}"),
        }
    }
}

impl Net {
    pub(crate) fn parse_ip(text: &str) -> Result<Self, String> {
        parse_ip(text).map(Net::Ip)
    }

    pub(crate) fn parse_cidr(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no range of addresses such as 10.0.0.0/8");
        let (ip, len) = text.split_once('/').ok_or_else(wrong)?;
        let ip = parse_ip(ip)?;
        let digits = !len.is_empty() && len.bytes().all(|byte| byte.is_ascii_digit());
        let len: u8 = len.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
        if len > bits(ip) {
            return Err(wrong());
        }
        Ok(Net::Cidr(ip, len))
    }

    pub(crate) fn ip(self) -> IpAddr {
        match self {
            Net::Ip(ip) | Net::Cidr(ip, _) => ip,
        }
    }

    /// The range with nothing behind its prefix.
    pub(crate) fn masked(self) -> Self {
        match self {
            Net::Ip(_) => self,
            Net::Cidr(ip, len) => Net::Cidr(mask(ip, len), len),
        }
    }

    /// Whether an address, or a whole range, lies in this range.
    pub(crate) fn contains(self, other: Net) -> bool {
        let Net::Cidr(ip, len) = self else {
            return false;
        };
        let inner_len = match other {
            Net::Ip(_) => u8::MAX,
            Net::Cidr(_, inner) => inner,
        };
        let inner = other.ip().to_canonical();
        let same_family = ip.is_ipv4() == inner.is_ipv4();
        same_family && inner_len >= len && mask(inner, len) == mask(ip, len)
    }
}

fn parse_ip(text: &str) -> Result<IpAddr, String> {
    if text.contains(':') && text.contains('.') {
        return Err(format!(
            "`{text}` maps an IPv4 address, which is not allowed"
        ));
    }
    text.parse()
        .map_err(|_| format!("`{text}` is no address of a network"))
}

fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn mask(ip: IpAddr, len: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let keep = u32::MAX
                .checked_shl(32 - u32::from(len.min(32)))
                .unwrap_or(0);
            IpAddr::V4((u32::from(ip) & keep).into())
        }
        IpAddr::V6(ip) => {
            let keep = u128::MAX
                .checked_shl(128 - u32::from(len.min(128)))
                .unwrap_or(0);
            IpAddr::V6((u128::from(ip) & keep).into())
        }
    }
}
