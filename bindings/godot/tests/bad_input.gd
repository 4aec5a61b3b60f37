## What is refused: by an Error, a line in the log that names the thing and the limit, and no signal.
extends Case

## Property, value, the error, what the log says.
const REFUSED := [
	["url", "", ERR_INVALID_PARAMETER, "URL is empty"],
	["url", "example.com", ERR_INVALID_PARAMETER, "URL is not absolute"],
	["url", "ftp://example.com/", ERR_INVALID_PARAMETER, "URL scheme 'ftp' is not supported"],
	["url", "http://x/\r\nHost: y", ERR_INVALID_PARAMETER, "URL has the control character U+000D"],
	["method", "GE T", ERR_INVALID_PARAMETER, "method has a character that an HTTP token cannot have"],
	["method", "CONNECT", ERR_INVALID_PARAMETER, "method CONNECT cannot be sent"],
	["headers", ["No colon"], ERR_INVALID_PARAMETER, "header 'No colon' has no ':'"],
	["headers", [": x"], ERR_INVALID_PARAMETER, "header name is empty"],
	["headers", ["a b: x"], ERR_INVALID_PARAMETER, "header name 'a b' has a character"],
	["headers", ["A: x\r\nB: y"], ERR_INVALID_PARAMETER, "header A has the character U+000D"],
	["headers", ["Transfer-Encoding: chunked"], ERR_INVALID_PARAMETER, "Transfer-Encoding is the library's to send"],
	["timeout", -2.0, ERR_INVALID_PARAMETER, "timeout is -2"],
	["timeout", NAN, ERR_INVALID_PARAMETER, "timeout is NaN"],
	["connect_timeout", -0.5, ERR_INVALID_PARAMETER, "connect_timeout is -0.5"],
	["stall_timeout", -INF, ERR_INVALID_PARAMETER, "stall_timeout is -inf"],
	["queue_timeout", -3.0, ERR_INVALID_PARAMETER, "queue_timeout is -3"],
	["attempt_timeout", -1.0, ERR_INVALID_PARAMETER, "attempt_timeout is -1"],
	["retry_delay", INF, ERR_INVALID_PARAMETER, "retry_delay is inf"],
	["max_retry_delay", -1.0, ERR_INVALID_PARAMETER, "max_retry_delay is -1"],
	["max_attempts", 0, ERR_INVALID_PARAMETER, "max_attempts is 0, it must be 1 to 100"],
	["max_attempts", 101, ERR_INVALID_PARAMETER, "max_attempts is 101"],
	["max_redirects", 101, ERR_INVALID_PARAMETER, "max_redirects is 101, the limit is 100"],
	["max_redirects", -1, ERR_INVALID_PARAMETER, "max_redirects is -1"],
	["min_bytes_per_second", -2, ERR_INVALID_PARAMETER, "min_bytes_per_second is -2"],
	["min_speed_period", -2.0, ERR_INVALID_PARAMETER, "min_speed_period is -2"],
	["min_speed_period", 0.01, ERR_INVALID_PARAMETER, "it must be 100 or more"],
	["proxy", "gopher://a", ERR_INVALID_PARAMETER, "proxy"],
	["max_body_bytes", -2, ERR_INVALID_PARAMETER, "max_body_bytes is -2"],
	["max_file_bytes", -2, ERR_INVALID_PARAMETER, "max_file_bytes is -2"],
	["expected_length", -2, ERR_INVALID_PARAMETER, "expected_length is -2"],
	["expected_sha256", "abc", ERR_INVALID_PARAMETER, "expected_sha256 'abc' is not 64 hexadecimal digits"],
	["username", "a:b", ERR_INVALID_PARAMETER, "username has a ':'"],
	["bearer_token", "a b", ERR_INVALID_PARAMETER, "bearer_token is empty or has a character"],
	["report_progress", 3, ERR_INVALID_PARAMETER, "report_progress is 3, it must be 0 to 2"],
	["http_version", -1, ERR_INVALID_PARAMETER, "http_version is -1, it must be 0 to 2"],
	["cache_mode", 6, ERR_INVALID_PARAMETER, "cache_mode is 6, it must be 0 to 5"],
	["gzip_body", true, ERR_INVALID_PARAMETER, "the body is to be compressed, but there is none"],
	["resume_download", true, ERR_INVALID_PARAMETER, "needs a response file"],
	["download_file", "user://", ERR_FILE_BAD_PATH, "names a directory, not a file"],
]


func test_requests_are_refused() -> void:
	var by := client()
	for row: Array in REFUSED:
		var asked := request("/bytes/1")
		asked.completed.connect(func(_response: SortieResponse) -> void: failed.emit("completed after " + row[3]))
		asked.set(row[0], row[1])
		expected_errors.append(row[3])
		equal(by.submit(asked), row[2], "%s = %s" % [row[0], row[1]])
		equal(asked.is_running(), false, "is_running")
	await frames(5)
	equal(by.get_stats().get("submitted"), 0, "submitted")
	equal((await respond(by, request("/bytes/1"))).status, 200, "the next is fine")


func test_what_does_not_go_together() -> void:
	var by := client()
	expected_errors = [
		"body, body_file, a form and stream_body exclude each other",
		"username and bearer_token are both set",
		"a response is either streamed or written to a file",
		"stream_window_bytes is 1, it must be 16384 to 1073741824",
		"a HEAD request cannot have a body",
		"a form has a Content-Type of its own",
		"form part name is empty",
	]
	equal(by.submit(request("/", {body = bytes(1), body_file = "user://x"})), ERR_INVALID_PARAMETER, "bodies")
	equal(by.submit(request("/", {username = "a", bearer_token = "b"})), ERR_INVALID_PARAMETER, "credentials")
	var streamed := {stream_response = true, download_file = "user://x"}
	equal(by.submit(request("/", streamed)), ERR_INVALID_PARAMETER, "streamed to a file")
	equal(by.submit(request("/", {stream_response = true, stream_window_bytes = 1})), ERR_INVALID_PARAMETER, "window")
	equal(by.submit(request("/", {method = "HEAD", body = bytes(1)})), ERR_INVALID_PARAMETER, "HEAD with a body")
	var form := request("/", {content_type = "text/plain"})
	form.add_form_field("a", "b")
	equal(by.submit(form), ERR_INVALID_PARAMETER, "a form with a Content-Type")
	var nameless := request("/")
	nameless.add_form_field("", "b")
	equal(by.submit(nameless), ERR_INVALID_PARAMETER, "a part without a name")


func test_clients_are_refused() -> void:
	var rows := [
		["max_active", 0, "max_active is 0, it must be 1 to 65535"],
		["max_requests", 1 << 40, "max_requests is 1099511627776"],
		["timeout", -1.0, "timeout is -1"],
		["max_body_bytes", -1, "max_body_bytes is -1"],
		["min_tls_version", 3, "min_tls_version is 3, it must be 0 to 2"],
		["ca_file", "user://no roots.pem", "no roots.pem"],
		["proxy", "not a proxy", "proxy"],
		["pins", {"example.com": "md5//x"}, "is not sha256//BASE64"],
		["default_headers", PackedStringArray(["x"]), "header 'x' has no ':'"],
		["user_agent", "a\r\nb", "User-Agent"],
		["cache_directory", "/dev/null/cache", "cache_directory"],
	]
	for row: Array in rows:
		var by := client({row[0]: row[1]})
		expected_errors.append(row[2])
		check(by.start() != OK, "%s is taken" % row[0])
		equal(by.is_started(), false, "is_started")
		expected_errors.append("SortieClient.fetch(): ")
		check(by.fetch(server + "/bytes/1") == null, "fetch")
	var by := client()
	expected_errors.append_array([
		"address 'localhost' is no IPv4 or IPv6 address",
		"port is 65536",
		"SortieClient.watch(): ",
		"SortieClient.mock(): status is 99",
		"SortieClient.mock(): URL is",
		"SortieClient.mock(): error is 99, it must be a SortieResponse.ERROR_*",
		"SortieClient.set_cookie(): URL",
		"SortieClient.download(): file name is empty",
		"SortieClient.upload(): file name is empty",
		"SortieRequest.priority: priority is 3",
		"SortieClient.clear_cache(): this client has no cache",
	])
	equal(by.add_resolve("x", "localhost"), ERR_INVALID_PARAMETER, "add_resolve")
	equal(by.add_resolve("x", "127.0.0.1", 65536), ERR_INVALID_PARAMETER, "add_resolve")
	equal(by.watch("not a host"), 0, "watch")
	equal(by.unwatch(-1), ERR_DOES_NOT_EXIST, "unwatch")
	equal(by.unmock(-1), ERR_DOES_NOT_EXIST, "unmock")
	for properties: Dictionary in [{status = 99}, {url = "x"}, {error = 99}]:
		var mock := SortieMock.new()
		for property: String in properties:
			mock.set(property, properties[property])
		equal(by.mock(mock), 0, "mock")
	equal(by.set_cookie("x", "a=b"), ERR_INVALID_PARAMETER, "set_cookie")
	check(by.download(server, "") == null, "download")
	check(by.upload(server, "") == null, "upload")
	request("/").priority = 3
	equal(by.clear_cache(), ERR_INVALID_PARAMETER, "clear_cache")


func test_text_with_odd_characters() -> void:
	var by := client()
	var text := request("/echo")
	# Godot's own strings end at a NUL or replace it; bytes keep it.
	text.set_text("a" + char(0xFFFD) + "\u0001\u202e𝄞")
	equal((await respond(by, text)).text, "a" + char(0xFFFD) + "\u0001\u202e𝄞", "text")
	var with_nul := request("/echo", {body = PackedByteArray([97, 0, 98])})
	equal((await respond(by, with_nul)).body, PackedByteArray([97, 0, 98]), "bytes")
	var named := request("/bytes/3?q=ä b", {headers = PackedStringArray(["X-A: ü"])})
	equal((await respond(by, named)).status, 200, "status")


func test_as_many_as_the_client_takes() -> void:
	var by := client({max_requests = 2})
	expected_errors = ["2 requests and watches are live, which is the limit (max_requests)"]
	var first := by.fetch(server + "/stall-headers")
	check(first != null and by.fetch(server + "/stall-headers") != null, "two are taken")
	equal(by.submit(request("/bytes/1")), ERR_CANT_ACQUIRE_RESOURCE, "the third")
	first.cancel()
	await first.completed
	equal((await respond(by, request("/bytes/1"))).status, 200, "one more")
