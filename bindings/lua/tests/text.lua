-- What is text, and what it is written in.

local support = require "support"
local test, equal = support.test, support.equal

support.configure()

--- Fetches a body with a Content-Type (none if nil); gives the response and its type.
local function fetch(kind, body)
    local answer = { body = body }
    if kind then
        answer[1] = "Content-Type: " .. kind
    end
    local event = support.fetch_fine(support.url(support.reply(answer)))
    return event.response, event.responseType
end

test("text is told by the Content-Type", function()
    for _, kind in ipairs({
        "text/plain", "text/html", "text/css", "text/x-whatever", "TEXT/Plain", "application/xml", "text/xml",
        "image/svg+xml", "application/atom+xml", "application/xhtml+xml", "application/json", "application/ld+json",
        "application/problem+json", "application/javascript", "text/javascript", "application/x-javascript",
        "application/ecmascript", "application/x-www-form-urlencoded", "application/x-save; charset=utf-8",
    }) do
        local _, found = fetch(kind, "x")
        equal(found, "text", kind)
    end
end)

test("all else is binary", function()
    for _, kind in ipairs({
        "application/octet-stream", "image/png", "audio/mpeg", "video/mp4", "application/zip", "font/woff2",
        "application/jsonx", "application/pdf", "x", "", "application/octet-stream; charset=utf-8",
        "image/png; charset=iso-8859-1", "application/x-save; charset=utf-8",
    }) do
        local body, found = fetch(kind, "\255\254\252")
        equal(found, "binary", kind)
        equal(body, "\255\254\252", kind)
    end
    local body, found = fetch(nil, "\252")
    equal(found, "binary", "without a Content-Type")
    equal(body, "\252")
end)

test("charset comes from the header", function()
    for charset, case in pairs({
        ["ISO-8859-1"] = { "\252", "\195\188" },
        ["latin1"] = { "\128", "\226\130\172" },
        ["windows-1252"] = { "\128", "\226\130\172" },
        ["\"windows-1252\""] = { "\128", "\226\130\172" },
        ["windows-1251"] = { "\230", "\208\182" },
        ["KOI8-R"] = { "\214", "\208\182" },
        ["Shift_JIS"] = { "\131\101", "\227\131\134" },
        ["EUC-JP"] = { "\165\198", "\227\131\134" },
        ["gb2312"] = { "\214\208", "\228\184\173" },
        ["Big5"] = { "\164\164", "\228\184\173" },
        ["EUC-KR"] = { "\177\219", "\234\184\128" },
        ["UTF-16LE"] = { "\252\0", "\195\188" },
        ["UTF-16BE"] = { "\0\252", "\195\188" },
        ["us-ascii"] = { "\252", "\195\188" },
        ["UTF8"] = { "\195\188", "\195\188" },
    }) do
        equal(fetch("text/plain; charset=" .. charset, case[1]), case[2], charset)
    end
end)

test("charset comes from a byte order mark, which is taken off", function()
    equal(fetch("text/plain", "\239\187\191\195\188"), "\195\188", "UTF-8")
    equal(fetch("text/plain", "\255\254\252\0"), "\195\188", "UTF-16LE")
    equal(fetch("text/plain", "\254\255\0\252"), "\195\188", "UTF-16BE")
end)

test("charset comes from the XML declaration", function()
    local text = "<?xml version=\"1.0\" encoding=\"windows-1251\"?><a>%s</a>"
    equal(fetch("application/xml", text:format("\230")), text:format("\208\182"))
    text = "<?xml version='1.0' encoding='ISO-8859-1' ?><a>%s</a>"
    equal(fetch("image/svg+xml", text:format("\252")), text:format("\195\188"))
end)

test("charset comes from meta charset", function()
    local text = "<!doctype html><html><head><title>x</title><META CharSet='koi8-r'></head>%s"
    equal(fetch("text/html", text:format("\214")), text:format("\208\182"))
end)

test("charset comes from meta http-equiv", function()
    local text = "<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; charset=Shift_JIS\">%s"
    equal(fetch("text/html", text:format("\131\101")), text:format("\227\131\134"))
end)

test("meta is looked for in the first 1,024 bytes", function()
    local meta = "<meta charset=windows-1252>"
    local near = (" "):rep(1024 - #meta) .. meta .. "%s"
    equal(fetch("text/html", near:format("\252")), near:format("\195\188"))
    local far = (" "):rep(1024) .. meta .. "%s"
    equal(fetch("text/html", far:format("\252")), far:format("\239\191\189"))
end)

test("charset is UTF-8 if nothing tells", function()
    equal(fetch("text/plain", "gr\195\188\195\159e"), "gr\195\188\195\159e")
    equal(fetch("application/json", "\"\240\159\152\128\""), "\"\240\159\152\128\"")
end)

test("mark goes before header, header before declaration, and in XML there is no meta", function()
    equal(fetch("text/plain; charset=windows-1252", "\239\187\191\195\188"), "\195\188", "mark")
    local xml = "<?xml version='1.0' encoding='windows-1251'?><meta charset='koi8-r'>%s"
    equal(fetch("text/xml; charset=windows-1252", xml:format("\252")), xml:format("\195\188"), "header")
    equal(fetch("text/xml", "\239\187\191" .. xml:format("\195\188")), xml:format("\195\188"), "mark")
    equal(fetch("application/xhtml+xml", xml:format("\230")), xml:format("\208\182"), "declaration")
end)

test("unknown charset in the header is passed over", function()
    equal(fetch("text/plain; charset=klingon", "\195\188"), "\195\188")
    local text = "<meta charset=windows-1252>%s"
    equal(fetch("text/html; charset=klingon", text:format("\252")), text:format("\195\188"))
    equal(fetch("text/plain; charset=", "\195\188"), "\195\188")
end)

test("bytes that are not valid become U+FFFD", function()
    for body, wanted in pairs({
        ["a\255b"] = "a\239\191\189b",
        ["a\195"] = "a\239\191\189",
        ["\226\130"] = "\239\191\189",
        ["\237\160\128"] = ("\239\191\189"):rep(3),
        ["\192\128"] = ("\239\191\189"):rep(2),
        ["\240\159\152"] = "\239\191\189",
    }) do
        equal(fetch("text/plain; charset=utf-8", body), wanted)
    end
    equal(fetch("text/plain; charset=Shift_JIS", "a\131"), "a\239\191\189")
    equal(fetch("text/plain; charset=UTF-16LE", "a\0\252"), "a\239\191\189")
    equal(fetch("text/plain; charset=UTF-16LE", "\0\216a\0"), "\239\191\189a")
end)

test("charset that lies does not harm", function()
    equal(fetch("text/plain; charset=utf-8", "gr\252\223e"), "gr\239\191\189\239\191\189e")
    equal(fetch("text/plain; charset=windows-1252", "\195\188"), "\195\131\194\188")
end)

test("text cut in the middle of a character by its pieces is whole", function()
    -- 3 bytes a character: whatever the pieces' length, some end within one.
    local url = support.url(support.reply({ "Content-Type: text/plain", body = "\226\130\172", times = 500000 }))
    local event = support.fetch_fine(url)
    equal(#event.response, 1500000)
    equal(event.response:find("\239\191\189", 1, true), nil)
    local kind = "Content-Type: text/plain; charset=shift_jis"
    event = support.fetch_fine(support.url(support.reply({ kind, body = "\131\101", times = 500001 })))
    equal(event.response, ("\227\131\134"):rep(500001))
end)

test("text may hold NUL", function()
    equal(fetch("text/plain", "a\0b\0"), "a\0b\0")
end)

test("compressed text is unpacked before it is decoded", function()
    -- gzip of "gr", 0xFC, 0xDF, "e" in ISO-8859-1.
    local compressed = "\31\139\8\0\0\0\0\0\2\3\75\47\250\115\63\21\0\228\242\160\171\5\0\0\0"
    local event = support.fetch(support.url(support.reply({
        "Content-Type: text/plain; charset=ISO-8859-1", "Content-Encoding: gzip", body = compressed })))
    equal(event.response, "gr\195\188\195\159e")
end)

test("error responses are decoded like others", function()
    local event = support.fetch_fine(support.url(support.reply({
        "Content-Type: text/plain; charset=ISO-8859-1", status = 404, body = "\252" })))
    equal(event.response, "\195\188")
    equal(event.responseType, "text")
end)
