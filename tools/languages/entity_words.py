"""Word lists of the entity finder: what ends a file name, and what looks like a name and is none."""

# ruff: noqa: SIM905 (lists of words are read and edited as text)

PROGRAM_SUFFIXES = (".exe", ".scr", ".com", ".pif", ".msi", ".bat", ".cmd")

FILE_SUFFIXES = tuple(
    """exe dll sys scr pif msi bat cmd ps1 psm1 psd1 vbs vbe js jse wsf wsh hta lnk docm docx doc dotm xlsm xlsx
    xls xlam xll pptm pptx ppt one rtf pdf csv txt md log zip 7z rar tar gz tgz cab iso img vhd vhdx dmp mdmp evtx
    etl dat db sqlite bak tmp aspx asp ashx asmx php jsp jspx war jar class py sh pl rb so elf bin deb rpm apk
    dmg pkg app eml msg html htm xml json yaml yml ini conf cfg reg pem key pfx p12 crt cer kdbx ost pst png jpg
    jpeg gif bmp svg mp3 mp4 mov avi sql""".split()
)

CODE_SUFFIXES = frozenset("py rs zip sh pl md ps so cc mov app dll exe cs java".split())
"""Top-level domains that in an analyst's text are file suffixes; a URL still counts as one."""

RESERVED_DOMAINS = frozenset(
    "example test invalid local localhost internal intranet corp lan home private onion".split()
)
"""Names that no public list holds and that networks use (RFC 2606, RFC 6762, RFC 8375 and habit)."""

EVENT_IDS = frozenset(
    int(number)
    for number in """1102 4103 4104 4624 4625 4634 4647 4648 4662 4663 4672 4688 4689 4697 4698 4699 4702 4719 4720 4722
    4723 4724 4725 4726 4728 4732 4738 4740 4742 4756 4767 4768 4769 4771 4776 4778 4779 5136 5140
    5145 5156 5157 7036 7040 7045""".split()
)

NO_DOMAINS = frozenset(
    """HKLM HKCU HKCR HKU HKEY_LOCAL_MACHINE HKEY_CURRENT_USER HKEY_USERS HKEY_CLASSES_ROOT SOFTWARE SYSTEM WINDOWS
    SYSTEM32 PROGRAMDATA USERS DEVICE MACHINE REGISTRY""".split()
)
NO_HOST_PREFIXES = frozenset(
    """chg inc cve kb iso utf sha md rfc req tkt win windows office port event id top mp ms rc aes des tls ssl http
    https base ticket change case incident covid ipv ip q e c g p s v phase step stage level day tier layer part
    version os exchange sql server x amd intel arm base64 type logon t ta dep build pid tid uid gid usd eur form
    mitre attack ntlmv smbv scan week month january february march april may june july august september october
    november december jan feb mar apr jun jul aug sep oct nov dec since until from to last past in at on the and
    or page line row rule""".split()
)
NO_HOSTS = frozenset(
    """lsass sharepoint outlook powershell mimikatz system security kerberos exchange microsoft windows defender
    sentinel falcon crowdstrike onedrive teams psexec psexesvc entra office azure github google amazon internet
    network domain unknown called named which where what that this with from logged isolated running service
    services account accounts process processes event events names name owner inventory activity activities""".split()
)
NO_SERVICES = frozenset(
    """account accounts ticket tickets principal principals desk pack control manager name names that which
    was is on in at""".split()
)
NO_FILES = frozenset(("asp.net", "node.js", "socket.io", "vb.net", "next.js", "vue.js", "react.js", "d3.js"))
NO_PEOPLE = frozenset(("e.g", "i.e", "a.m", "p.m", "u.s", "etc.the", "vs.the"))
NO_APPS = frozenset(
    """that which the this with in on and or is was were has had can could read reads from permission permissions
    consent consents registration registrations logs log id ids name names access servers server owner owners
    policy policies made open public used installed approved""".split()
)
NO_USERS = frozenset(
    """a about accounts activity add after all also an and any anything are as at be before behaviour behavior being
    between both but by can change changes click clicks compromise compromised context control could create
    created creation creations credentials credential data delete deleted details did do does done during email
    enabled disabled enumeration ever exist exists folder folders for from get gets go goes got group groups
    guessing had has have having he her him his hit how i id ids if in into is it its just keep kept know left
    list lock locked lockout lockouts log logged login logins logon logons look made mailbox management may me
    might much must my name named names new no normally not now of off on once one only open opened or other our
    out over own password passwords per permissions please pls privileges profile ran really rule rules run runs
    said same saw says see seen session sessions she should sign signed since so some still such swears swear takeover
    than that the their them then there these they this those through to today took touch touched try tried type up
    usage use used uses via was we went were what when where whether which while who whose why will with without
    would yesterday yet you your""".split()
)
