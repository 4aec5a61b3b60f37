## HTTPRequest and SortieHTTPRequest, side by side on the same server.
extends Case

## What each case asks for. Both have to tell the same, but for what `differs` names, with SortieHTTPRequest's side: the
## README's table says why.
const CASES := [
	{name = "200", path = "/bytes/1000"},
	{name = "no body", path = "/bytes/0"},
	{name = "204", path = "/204"},
	{name = "404", path = "/status/404?body=gone"},
	{name = "500", path = "/status/500?body=broken"},
	{name = "HEAD", path = "/head", method = HTTPClient.METHOD_HEAD},
	{name = "POST", path = "/echo", method = HTTPClient.METHOD_POST, headers = ["Content-Type: text/plain"], data = "Grüße"},
	{name = "PUT", path = "/upload", method = HTTPClient.METHOD_PUT, headers = ["Content-Type: text/plain"], data = "x"},
	{name = "PATCH", path = "/method", method = HTTPClient.METHOD_PATCH, headers = ["Content-Type: a/b"], data = "x"},
	{name = "DELETE", path = "/method", method = HTTPClient.METHOD_DELETE},
	{name = "OPTIONS", path = "/method", method = HTTPClient.METHOD_OPTIONS},
	{name = "headers", path = "/headers?X-A=1&x-b=2&X-A=3"},
	{name = "gzip", path = "/gzip?bytes=5000"},
	{name = "deflate", path = "/deflate?bytes=5000"},
	{name = "gzip not accepted", path = "/gzip?bytes=5000", accept_gzip = false},
	{name = "broken gzip", path = "/bad-gzip"},
	{name = "chunked", path = "/chunked?bytes=5000&chunk=700"},
	{name = "until the end", path = "/no-length?bytes=5000"},
	{name = "latin text", path = "/reply?header=Content-Type:%20text/plain;%20charset%3Dlatin1&hex=fc"},
	{name = "301", path = "/redirect/1?status=301"},
	{name = "302", path = "/redirect/3?status=302"},
	{name = "302 POST", path = "/redirect-to?url=/method&status=302", method = HTTPClient.METHOD_POST, data = "x"},
	{name = "303", path = "/redirect-to?url=/method&status=303", method = HTTPClient.METHOD_POST, data = "x",
		differs = {response_code = 200, body = "GET"}},
	{name = "307", path = "/redirect-to?url=/method&status=307", method = HTTPClient.METHOD_POST, data = "x",
		differs = {response_code = 200, body = "POST"}},
	{name = "308", path = "/redirect-to?url=/method&status=308", differs = {response_code = 200, body = "GET"}},
	{name = "redirect limit", path = "/redirect/9"},
	{name = "no redirects", path = "/redirect/1", max_redirects = 0},
	{name = "refused", url = "http://127.0.0.1:1/"},
	{name = "no such host", url = "http://no-such-host.invalid/"},
	{name = "timeout", path = "/stall-headers", timeout = 0.3},
	{name = "timeout in the body", path = "/stall?sent=10", timeout = 0.3},
	{name = "body limit", path = "/bytes/1001", body_size_limit = 1000},
	{name = "body at the limit", path = "/bytes/1000", body_size_limit = 1000},
	{name = "body limit when chunked", path = "/chunked?bytes=5000&chunk=700", body_size_limit = 1000},
	{name = "cut short", path = "/truncate?declared=1000&sent=10",
		differs = {result = HTTPRequest.RESULT_CONNECTION_ERROR}},
	{name = "reset", path = "/reset?after=10&declared=1000"},
	{name = "no HTTP", path = "/garbage"},
	{name = "nothing", path = "/empty"},
	{name = "to a file", path = "/bytes/5000", download_file = "user://compared.bin"},
	{name = "404 to a file", path = "/status/404?body=gone", download_file = "user://compared.bin",
		differs = {body = "gone", file = -1}},
	{name = "to no folder", path = "/bytes/5000", download_file = "user://no/such/folder/compared.bin"},
	{name = "TLS", url = "tls/bytes/1000", trusted = true},
	{name = "untrusted", url = "tls/bytes/1000"},
	{name = "empty URL", url = ""},
	{name = "no scheme", url = "127.0.0.1/"},
	{name = "another scheme", url = "ftp://127.0.0.1/"},
]


## What a redirect that is followed brings in place of the redirect itself.
const OF_A_REDIRECT := ["headers", "size", "downloaded"]


func test_the_same_results() -> void:
	# HTTPRequest writes some of its results to the log, too.
	any_error_is_fine = true
	for case: Dictionary in CASES:
		var theirs := await outcome(HTTPRequest.new(), case)
		var ours := await outcome(SortieHTTPRequest.new(), case)
		var differs: Dictionary = case.get("differs", {})
		for part: String in theirs:
			if differs.has(part):
				check(theirs[part] != differs[part], "%s: %s differs no longer" % [case.name, part])
				equal(ours.get(part), differs[part], "%s: %s" % [case.name, part])
			elif not (differs.has("response_code") and part in OF_A_REDIRECT):
				equal(ours.get(part), theirs[part], "%s: %s" % [case.name, part])


func test_the_same_face() -> void:
	for method in ClassDB.class_get_method_list("HTTPRequest", true):
		if not method.name.begins_with("_"):
			check(ClassDB.class_has_method("SortieHTTPRequest", method.name, true), "no method " + method.name)
	for property in ClassDB.class_get_property_list("HTTPRequest", true):
		if property.usage & PROPERTY_USAGE_STORAGE:
			var found := ClassDB.class_get_property_list("SortieHTTPRequest", true).filter(
				func(other: Dictionary) -> bool: return other.name == property.name)
			equal(found.size(), 1, "count of property " + property.name)
			equal(found[0].type, property.type, "type of property " + property.name)
			equal(ClassDB.class_get_property_default_value("SortieHTTPRequest", property.name),
				ClassDB.class_get_property_default_value("HTTPRequest", property.name), "default of " + property.name)
	for constant in ClassDB.class_get_integer_constant_list("HTTPRequest", true):
		equal(ClassDB.class_get_integer_constant("SortieHTTPRequest", constant),
			ClassDB.class_get_integer_constant("HTTPRequest", constant), constant)
	for told in ClassDB.class_get_signal_list("HTTPRequest", true):
		var types := func(arguments: Array) -> Array: return arguments.map(
			func(argument: Dictionary) -> int: return argument.type)
		equal(types.call(ClassDB.class_get_signal("SortieHTTPRequest", told.name).args), types.call(told.args), told.name)


func test_busy_and_cancelled_the_same() -> void:
	any_error_is_fine = true
	for node: Node in [HTTPRequest.new(), SortieHTTPRequest.new()]:
		var name := node.get_class()
		equal(node.request(server + "/bytes/1"), ERR_UNCONFIGURED, name + " outside the tree")
		add_child(node)
		var told := []
		node.request_completed.connect(func(result: int, _code: int, _headers: PackedStringArray,
				_body: PackedByteArray) -> void: told.append(result))
		equal(node.request(server + "/slow?bytes=100000&rate=100000"), OK, name + " request")
		equal(node.request(server + "/bytes/1"), ERR_BUSY, name + " busy")
		await until(func() -> bool: return node.get_body_size() == 100000, name + " knows the body's size")
		equal(node.get_http_client_status(), HTTPClient.STATUS_BODY, name + " status")
		node.cancel_request()
		equal(node.get_http_client_status(), HTTPClient.STATUS_DISCONNECTED, name + " cancelled")
		node.cancel_request()
		await frames(5)
		equal(told, [], name + " told after cancel")
		equal(node.request_raw(server + "/upload", [], HTTPClient.METHOD_POST, bytes(10)), OK, name + " again")
		await until(func() -> bool: return told.size() == 1, name + " completed")
		equal(told, [HTTPRequest.RESULT_SUCCESS], name + " told")
		# Out of the tree, and back.
		equal(node.request(server + "/stall?sent=10"), OK, name + " request")
		remove_child(node)
		add_child(node)
		equal(node.get_http_client_status(), HTTPClient.STATUS_DISCONNECTED, name + " back in the tree")
		equal(node.request(server + "/bytes/1"), OK, name + " again")
		await until(func() -> bool: return told.size() == 2, name + " completed")
		node.free()


func test_a_request_from_its_own_completion() -> void:
	var node := SortieHTTPRequest.new()
	add_child(node)
	var count := [0]
	node.request_completed.connect(func(_result: int, _code: int, _headers: PackedStringArray,
			_body: PackedByteArray) -> void:
		count[0] += 1
		if count[0] < 5:
			equal(node.request(server + "/bytes/1"), OK, "request")
		else:
			node.queue_free())
	equal(node.request(server + "/bytes/1"), OK, "request")
	await until(func() -> bool: return count[0] == 5, "five are told")
	await frames(2)
	equal(count[0], 5, "count")


func test_the_same_on_the_wire() -> void:
	var seen := []
	for node: Node in [HTTPRequest.new(), SortieHTTPRequest.new()]:
		add_child(node)
		node.accept_gzip = false
		node.request(server + "/inspect", ["X-Mine: 1"])
		var told: Array = await node.request_completed
		var lines := (told[3] as PackedByteArray).get_string_from_utf8().replace("\r", "").split("\n", false)
		var kept := Array(lines).filter(func(line: String) -> bool: return not line.begins_with("Accept-Encoding:"))
		kept.sort()
		seen.append(kept)
		node.queue_free()
	check("GET /inspect HTTP/1.1" in seen[0], "a request line in " + str(seen[0]))
	equal(seen[1], seen[0], "lines sent")


func test_large_bodies_are_spread_over_frames() -> void:
	var frames_of := {}
	var left := [8]
	for _node in left[0]:
		var node := SortieHTTPRequest.new()
		add_child(node)
		node.request_completed.connect(func(_result: int, _code: int, _headers: PackedStringArray,
				body: PackedByteArray) -> void:
			equal(body.size(), 3_000_000, "body")
			frames_of[Engine.get_process_frames()] = true
			left[0] -= 1)
		node.request(server + "/bytes/3000000")
	await until(func() -> bool: return left[0] == 0, "all complete")
	equal(frames_of.size(), 8, "frames")


func test_what_is_refused() -> void:
	var node := SortieHTTPRequest.new()
	add_child(node)
	node.request_completed.connect(func(_result: int, _code: int, _headers: PackedStringArray,
			_body: PackedByteArray) -> void: failed.emit("completed"))
	expected_errors = [
		"SortieHTTPRequest.request(): method TRACE cannot be sent",
		"SortieHTTPRequest.request(): method CONNECT cannot be sent",
		"SortieHTTPRequest.request(): method is 9, it must be 0 to 8",
		"SortieHTTPRequest.request(): method is -1, it must be 0 to 8",
		"SortieHTTPRequest.request(): a HEAD request cannot have a body",
		"SortieHTTPRequest.request(): header 'x' has no ':'",
		"SortieHTTPRequest.request(): file name",
	]
	equal(node.request(server, [], HTTPClient.METHOD_TRACE), ERR_INVALID_PARAMETER, "TRACE")
	equal(node.request(server, [], HTTPClient.METHOD_CONNECT), ERR_INVALID_PARAMETER, "CONNECT")
	equal(node.request(server, [], 9), ERR_INVALID_PARAMETER, "method 9")
	equal(node.request(server, [], -1), ERR_INVALID_PARAMETER, "method -1")
	equal(node.request(server, [], HTTPClient.METHOD_HEAD, "body"), ERR_INVALID_PARAMETER, "HEAD with a body")
	equal(node.request(server, ["x"]), ERR_INVALID_PARAMETER, "a header without a value")
	node.download_file = "user://"
	equal(node.request(server), ERR_FILE_BAD_PATH, "a folder to download into")
	await frames(5)


func test_content_types_that_are_not_given() -> void:
	var node := SortieHTTPRequest.new()
	add_child(node)
	node.request(server + "/inspect", [], HTTPClient.METHOD_POST, "text")
	var told: Array = await node.request_completed
	check("Content-Type: text/plain; charset=UTF-8" in told[3].get_string_from_utf8(), "text")
	node.request_raw(server + "/inspect", [], HTTPClient.METHOD_POST, bytes(3))
	told = await node.request_completed
	check("Content-Type: application/octet-stream" in told[3].get_string_from_utf8(), "bytes")


func test_proxies_and_tls_options() -> void:
	var node := SortieHTTPRequest.new()
	add_child(node)
	node.set_http_proxy("127.0.0.1", 1)
	equal(node.request(server + "/bytes/1"), OK, "request")
	equal((await node.request_completed)[0], HTTPRequest.RESULT_CANT_CONNECT, "through no proxy")
	node.set_http_proxy("", -1)
	equal(node.request(server + "/bytes/1"), OK, "request")
	equal((await node.request_completed)[0], HTTPRequest.RESULT_SUCCESS, "without a proxy")
	expected_errors = [
		"Sortie does not leave certificates unchecked",
		"Sortie expects the host's own name",
		"is no TLSOptions",
	]
	node.set_tls_options(TLSOptions.client_unsafe())
	node.set_tls_options(TLSOptions.client(null, "other.example"))
	node.set_tls_options(RefCounted.new())
	node.set_tls_options(null)
	node.set_tls_options(TLSOptions.client())
	equal(node.request(server_tls + "/bytes/1"), OK, "request")
	equal((await node.request_completed)[0], HTTPRequest.RESULT_TLS_HANDSHAKE_ERROR, "untrusted")


func test_a_client_with_roots_stays_with_its_node() -> void:
	var chain := X509Certificate.new()
	chain.load(authority)
	var node := SortieHTTPRequest.new()
	add_child(node)
	var before := thread_count()
	node.set_tls_options(TLSOptions.client(chain))
	for _time in 2:
		equal(node.request(server_tls + "/bytes/1"), OK, "request")
		equal((await node.request_completed)[0], HTTPRequest.RESULT_SUCCESS, "result")
		node.set_tls_options(TLSOptions.client(chain))
	if before > 0:
		check(thread_count() > before, "the client's threads between requests")
	equal(roots_files().size(), 1, "files of roots between requests")
	node.set_tls_options(TLSOptions.client())
	equal(roots_files(), PackedStringArray(), "files of roots once it is set otherwise")
	equal(thread_count(), before, "threads once it is set otherwise")


func test_roots_are_written_to_no_file_that_is_there() -> void:
	var chain := X509Certificate.new()
	chain.load(authority)
	var planted := PackedStringArray()
	for number in 200:
		planted.append("user://sortie-roots-%d-%d.pem" % [OS.get_process_id(), number])
		FileAccess.open(planted[-1], FileAccess.WRITE).store_string("another's")
	var node := SortieHTTPRequest.new()
	add_child(node)
	node.set_tls_options(TLSOptions.client(chain))
	equal(node.request(server_tls + "/bytes/1"), OK, "request")
	equal((await node.request_completed)[0], HTTPRequest.RESULT_SUCCESS, "result")
	var made := Array(roots_files()).filter(func(file: String) -> bool: return not "user://" + file in planted)
	equal(made.size(), 1, "files of its own")
	if OS.get_name() == "Linux":
		equal(FileAccess.get_unix_permissions("user://" + made[0]), 0x180, "permissions")
	node.queue_free()
	await frames(2)
	equal(roots_files().size(), planted.size(), "files left")
	for file in planted:
		equal(FileAccess.get_file_as_string(file), "another's", file)
		DirAccess.remove_absolute(file)


func roots_files() -> PackedStringArray:
	var found := PackedStringArray()
	for file in DirAccess.get_files_at("user://"):
		if file.begins_with("sortie-roots-"):
			found.append(file)
	return found


func outcome(node: Node, case: Dictionary) -> Dictionary:
	for property in ["accept_gzip", "max_redirects", "timeout", "body_size_limit", "download_file"]:
		if case.has(property):
			node.set(property, case[property])
	if case.get("trusted"):
		var chain := X509Certificate.new()
		chain.load(authority)
		node.set_tls_options(TLSOptions.client(chain))
	if case.has("download_file"):
		fresh_file("compared.bin")
	add_child(node)
	var url: String = case.url.replace("tls/", server_tls + "/") if case.has("url") else server + case.path
	var headers := PackedStringArray(case.get("headers", []))
	var error: int = node.request(url, headers, case.get("method", 0), case.get("data", ""))
	if error != OK:
		node.queue_free()
		return {error = error}
	var told: Array = await node.request_completed
	var body: PackedByteArray = told[3]
	var shown := body.get_string_from_ascii() if body.size() < 20 else body.hex_encode().md5_text()
	var outcome := {error = error, result = told[0], response_code = told[1], body = shown}
	var names := PackedStringArray()
	for line: String in told[2]:
		if not line.begins_with("Date:"):
			names.append(line)
	names.sort()
	outcome.headers = names
	if case.has("download_file"):
		var written := FileAccess.file_exists(case.download_file)
		outcome.file = FileAccess.get_file_as_bytes(case.download_file).size() if written else -1
	outcome.size = node.get_body_size()
	if told[0] == HTTPRequest.RESULT_SUCCESS:
		outcome.downloaded = node.get_downloaded_bytes()
	outcome.status = node.get_http_client_status()
	node.queue_free()
	return outcome
