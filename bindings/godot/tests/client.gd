## What a client and its requests do.
extends Case


func test_a_response_has_what_came() -> void:
	var response := await respond(client(), request("/headers?X-One=1&X-Two=2&X-Two=3"))
	equal(response.error, SortieResponse.ERROR_NONE, "error")
	equal(response.message, "", "message")
	equal(response.ok, true, "ok")
	equal(response.status, 200, "status")
	check(response.status_line.begins_with("HTTP/1.1 200"), "status line " + response.status_line)
	equal(response.get_header("x-one"), "1", "header")
	equal(response.get_header("X-TWO", 1), "3", "second header of a name")
	equal(response.get_header("X-Two", 2), "", "third header of a name")
	equal(response.has_header("x-three"), false, "has_header")
	check("X-Two: 3" in response.headers, "headers " + str(response.headers))
	equal(response.attempts, 1, "attempts")
	equal(response.effective_url, response.url, "effective_url")
	var timing := response.get_timing()
	check(timing.total_usec > 0, "timing " + str(timing))
	equal(timing.protocol, SortieResponse.PROTOCOL_HTTP_1_1, "protocol")
	equal(timing.connection_reused, false, "connection_reused")
	equal(response.remote_address, server.trim_prefix("http://"), "remote_address")


func test_a_status_is_no_error() -> void:
	var response := await respond(client(), request("/status/404?body=nothing%20here"))
	equal(response.error, SortieResponse.ERROR_NONE, "error")
	equal(response.status, 404, "status")
	equal(response.ok, false, "ok")


func test_errors_tell_kind_and_message() -> void:
	var by := client()
	var refused := await respond(by, request("http://127.0.0.1:1/"))
	equal(refused.error, SortieResponse.ERROR_CONNECT, "error")
	check(refused.message != "", "a message")
	equal(refused.status, 0, "status")
	equal(SortieResponse.error_string(refused.error), "the connection could not be made", "error_string")
	equal((await respond(by, request("/garbage"))).error, SortieResponse.ERROR_PROTOCOL, "garbage")
	equal((await respond(by, request("/truncate?declared=100&sent=10"))).error, SortieResponse.ERROR_RECEIVE, "truncated")
	equal((await respond(by, request("/bad-gzip"))).error, SortieResponse.ERROR_DECODE, "bad gzip")
	equal((await respond(by, request("/redirect-loop"))).error, SortieResponse.ERROR_REDIRECTS, "redirects")
	var large := request("/bytes/1000", {max_body_bytes = 999})
	equal((await respond(by, large)).error, SortieResponse.ERROR_BODY_TOO_LARGE, "too large")
	var late := request("/stall-headers", {timeout = 0.2})
	equal((await respond(by, late)).error, SortieResponse.ERROR_TIMEOUT, "timeout")
	var stalled := request("/stall?sent=10", {stall_timeout = 0.2})
	equal((await respond(by, stalled)).error, SortieResponse.ERROR_STALLED, "stalled")
	var slow := {min_bytes_per_second = 1000000, min_speed_period = 0.1}
	equal((await respond(by, request("/stall?sent=10", slow))).error, SortieResponse.ERROR_STALLED, "too slow")
	var strict := client(slow)
	equal((await respond(strict, request("/stall?sent=10"))).error, SortieResponse.ERROR_STALLED, "the client's")
	var any := request("/slow?bytes=2000&rate=4000", {min_bytes_per_second = 0})
	equal((await respond(strict, any)).error, SortieResponse.ERROR_NONE, "any speed")


func test_signals_come_in_order_and_end_with_completed() -> void:
	var by := client()
	var asked := request("/slow?bytes=300000&rate=1500000")
	var order: PackedStringArray = []
	asked.began.connect(func(response: SortieResponse) -> void: order.append("began %d" % response.status))
	asked.progress.connect(func(_transferred: int, total: int) -> void: order.append("progress %d" % total))
	asked.completed.connect(func(_response: SortieResponse) -> void: order.append("completed"))
	# A request that its own listeners hold is never freed.
	var of_asked: WeakRef = weakref(asked)
	by.request_completed.connect(func(ended: SortieRequest, _response: SortieResponse) -> void:
		order.append("of the client %s" % (ended == of_asked.get_ref())))
	var response := await respond(by, asked)
	await frames(2)
	equal(response.body.size(), 300000, "body")
	check(order.size() > 4, "progress between: " + str(order))
	equal(order[0], "began 200", "first")
	equal(order[1], "progress 300000", "second")
	equal(order[-2], "completed", "last but one")
	equal(order[-1], "of the client true", "last")
	equal(order.count("completed"), 1, "count of completed")
	equal(asked.bytes_transferred, 300000, "bytes_transferred")
	equal(asked.bytes_estimated, 300000, "bytes_estimated")
	equal(asked.is_running(), false, "is_running")


func test_a_request_can_be_submitted_again() -> void:
	var by := client()
	var asked := request("/bytes/10")
	for _time in 3:
		equal((await respond(by, asked)).body.size(), 10, "body")


func test_progress_of_an_upload() -> void:
	var asked := request("/upload", {body = bytes(3_000_000), report_progress = SortieRequest.PROGRESS_UPLOAD})
	var totals := []
	asked.progress.connect(func(_transferred: int, total: int) -> void: totals.append(total))
	await respond(client(), asked)
	check(3_000_000 in totals, "totals " + str(totals))


func test_redirects() -> void:
	var by := client()
	var followed := await respond(by, request("/redirect/3"))
	equal(followed.status, 200, "status")
	equal(followed.effective_url, server + "/bytes/2", "effective_url")
	equal(followed.get_timing().redirects, 3, "redirects")
	var manual := await respond(by, request("/redirect/3", {follow_redirects = false}))
	equal(manual.status, 302, "status")
	var few := await respond(by, request("/redirect/3", {max_redirects = 2}))
	equal(few.error, SortieResponse.ERROR_REDIRECTS, "error")


func test_credentials() -> void:
	var by := client()
	var basic := {username = "me", password = "pass"}
	equal((await respond(by, request("/basic-auth?user=me&password=pass", basic))).status, 200, "basic")
	equal((await respond(by, request("/basic-auth?user=me&password=pass"))).status, 401, "without")
	equal((await respond(by, request("/bearer?token=abc", {bearer_token = "abc"}))).status, 200, "bearer")
	var digest := "/reply?status=401&header=WWW-Authenticate:%20Digest%20realm%3D%22a%22"
	check((await respond(by, request(digest, basic))).credentials_unused, "another kind is asked for")
	check(not (await respond(by, request(digest))).credentials_unused, "there are none")


func test_trailers() -> void:
	var response := await respond(client(), request("/chunked-trailers"))
	equal(response.trailers.size(), 1, "one")
	check(response.get_trailer("x-checksum").begins_with("20 "), "its value is " + response.get_trailer("x-checksum"))
	equal(response.trailers[0], "X-Checksum: " + response.get_trailer("X-Checksum"), "its line")
	equal(response.get_trailer("X-Checksum", 1), "", "no second one")
	equal(response.get_trailer("X-Checksum", -1), "", "nor one before the first")
	check(not response.has_header("X-Checksum"), "it is no header")
	equal(SortieResponse.new().trailers.size(), 0, "of nothing")


func test_proxy_of_one_request() -> void:
	var by := client({proxy = "http://127.0.0.1:1"})
	check((await respond(by, request("/bytes/1"))).error != SortieResponse.ERROR_NONE, "the client's")
	equal((await respond(by, request("/bytes/1", {bypass_proxy = true}))).status, 200, "none")
	var other := client()
	check((await respond(other, request("/bytes/1", {proxy = "http://127.0.0.1:1"}))).error != SortieResponse.ERROR_NONE, "its own")
	equal((await respond(other, request("/bytes/1"))).status, 200, "no other's")


func test_default_headers_and_user_agent() -> void:
	var by := client({default_headers = PackedStringArray(["X-Game: mine"]), user_agent = "game/1"})
	var seen := (await respond(by, request("/inspect", {headers = PackedStringArray(["X-Own: yes"])}))).text
	for line in ["X-Game: mine", "User-Agent: game/1", "X-Own: yes"]:
		check(line in seen, line + " in " + seen)


func test_retries() -> void:
	var asked := request("/flaky?fails=2&key=retries-%d&status=503" % Time.get_ticks_usec(), {max_attempts = 3, retry_delay = 0.01})
	var failed_with := []
	asked.retrying.connect(func(response: SortieResponse, delay: float) -> void:
		failed_with.append(response.status)
		check(delay >= 0.0 and delay <= 1.0, "delay %f" % delay))
	var response := await respond(client(), asked)
	equal(response.status, 200, "status")
	equal(response.attempts, 3, "attempts")
	equal(failed_with, [503, 503], "retrying")


func test_cookies() -> void:
	var by := client()
	await respond(by, request("/cookie/set?session=abc"))
	equal((await respond(by, request("/cookie/show"))).text, "session=abc", "kept")
	equal((await respond(by, request("/cookie/show", {cookies = false}))).text, "", "not sent")
	equal(by.set_cookie(server, "session=def; Path=/cookie"), OK, "set_cookie")
	equal((await respond(by, request("/cookie/show"))).text, "session=def", "set")
	equal(by.cookies_for(server + "/cookie/show"), "session=def", "would be sent")
	equal(by.cookies_for(server + "/"), "", "not to another path")
	equal(by.clear_cookies(), OK, "clear_cookies")
	equal((await respond(by, request("/cookie/show"))).text, "", "cleared")
	var none := client({cookies = false})
	expected_errors = ["SortieClient.clear_cookies(): cookies are off for this client",
		"SortieClient.cookies_for(): URL is not absolute"]
	equal(none.clear_cookies(), ERR_INVALID_PARAMETER, "clear_cookies")
	equal(by.cookies_for("nothing"), "", "no URL")


func test_cache() -> void:
	var by := client({max_memory_cache_bytes = 1 << 20})
	var path := "/headers?Cache-Control=max-age%3D60&ETag=%22a%22"
	equal((await respond(by, request(path))).from_cache, false, "the first from the cache")
	equal((await respond(by, request(path))).from_cache, true, "the second from the cache")
	var reload := await respond(by, request(path, {cache_mode = SortieRequest.CACHE_RELOAD}))
	equal(reload.from_cache, false, "reload from the cache")
	equal(by.get_stats().cache_hits, 1, "cache_hits")
	equal(by.clear_cache(), OK, "clear_cache")
	var only := await respond(by, request(path, {cache_mode = SortieRequest.CACHE_ONLY_IF_CACHED}))
	equal(only.error, SortieResponse.ERROR_NOT_CACHED, "error")


func test_mocks() -> void:
	var by := client({mocks_only = true})
	var mock := SortieMock.new()
	mock.url = "https://game.example/scores*"
	mock.method = "GET"
	mock.status = 201
	mock.headers = PackedStringArray(["Content-Type: application/json"])
	mock.body = "[1, 2]".to_utf8_buffer()
	mock.delay = 0.01
	mock.bytes_per_second = 1000
	mock.times = 1
	var id := by.mock(mock)
	check(id > 0, "an id")
	var response := await respond(by, request("https://game.example/scores?of=today"))
	equal(response.status, 201, "status")
	equal(response.json(), [1.0, 2.0], "json")
	equal((await respond(by, request("https://game.example/scores"))).error, SortieResponse.ERROR_CONNECT, "used up")
	equal(by.unmock(id), OK, "unmock")
	equal(by.unmock(id), ERR_DOES_NOT_EXIST, "unmock again")
	var failing := SortieMock.new()
	failing.error = SortieResponse.ERROR_TLS
	check(by.mock(failing) > 0, "an id")
	equal((await respond(by, request("https://game.example/"))).error, SortieResponse.ERROR_TLS, "error")


func test_tls_trusts_what_it_is_told_to() -> void:
	var untrusted := await respond(client(), request(server_tls + "/bytes/3"))
	equal(untrusted.error, SortieResponse.ERROR_CERTIFICATE, "error")
	var trusting := client({ca_file = authority, min_tls_version = SortieClient.TLS_1_2})
	equal((await respond(trusting, request(server_tls + "/bytes/3"))).body.size(), 3, "body")
	var pinning := client({ca_file = authority, pins = {"127.0.0.1": "sha256//" + "A".repeat(43) + "="}})
	equal((await respond(pinning, request(server_tls + "/bytes/3"))).error, SortieResponse.ERROR_CERTIFICATE, "pinned")


func test_resolves() -> void:
	var by := client()
	var port := int(server.get_slice(":", 2))
	equal(by.add_resolve("game.example", "127.0.0.1", 80, port), OK, "add_resolve")
	equal((await respond(by, request("http://game.example/bytes/4"))).body.size(), 4, "body")


func test_a_proxy_is_used() -> void:
	var by := client({proxy = "http://127.0.0.1:1"})
	var response := await respond(by, request("/bytes/1"))
	check(response.error in [SortieResponse.ERROR_PROXY, SortieResponse.ERROR_CONNECT], "error %d" % response.error)
	var past := client({proxy = "http://127.0.0.1:1", no_proxy = "127.0.0.1"})
	equal((await respond(past, request("/bytes/1"))).status, 200, "status")


func test_reachability() -> void:
	var by := client({reachability_interval = 0.0})
	var told := []
	by.reachability_changed.connect(func(host: String, reachable: bool, _network: int) -> void:
		told.append([host, reachable]))
	var there := server.trim_prefix("http://")
	var watch := by.watch(there)
	check(watch > 0, "a watch")
	check(by.watch("127.0.0.1:1") > 0, "a watch")
	await until(func() -> bool: return told.size() == 2, "both are told")
	check([there, true] in told and ["127.0.0.1:1", false] in told, str(told))
	equal(by.unwatch(watch), OK, "unwatch")
	equal(by.unwatch(watch), ERR_DOES_NOT_EXIST, "unwatch again")
	check(by.get_network() >= 0, "network")


func test_pausing_and_priorities() -> void:
	var by := client({max_active_per_host = 1})
	var first := request("/slow?bytes=100000&rate=1000000")
	var order := []
	var low := request("/bytes/1", {priority = SortieRequest.PRIORITY_LOW})
	var normal := request("/bytes/2")
	by.request_completed.connect(func(ended: SortieRequest, _response: SortieResponse) -> void: order.append(ended.url))
	for asked: SortieRequest in [first, low, normal]:
		equal(by.submit(asked), OK, "submit")
	await until(func() -> bool: return first.bytes_transferred > 0, "the first runs")
	equal(first.pause(), OK, "pause")
	low.priority = SortieRequest.PRIORITY_HIGH
	await frames(20)
	equal(order, [], "completed while the first is paused")
	equal(first.unpause(), OK, "unpause")
	await until(func() -> bool: return order.size() == 3, "all complete")
	equal(order, [first.url, low.url, normal.url], "order")


func test_rates() -> void:
	var by := client()
	var asked := request("/bytes/200000", {max_receive_bytes_per_second = 1_000_000})
	var started := Time.get_ticks_msec()
	equal((await respond(by, asked)).body.size(), 200000, "body")
	check(Time.get_ticks_msec() - started >= 100, "limited to %d ms" % (Time.get_ticks_msec() - started))
	asked.max_receive_bytes_per_second = 1000
	equal(by.submit(asked), OK, "submit")
	await until(func() -> bool: return asked.bytes_transferred > 0, "it runs")
	asked.max_receive_bytes_per_second = 0
	equal((await asked.completed as SortieResponse).body.size(), 200000, "body")
	by.max_receive_bytes_per_second = 1_000_000
	started = Time.get_ticks_msec()
	await respond(by, request("/bytes/200000"))
	check(Time.get_ticks_msec() - started >= 100, "limited to %d ms" % (Time.get_ticks_msec() - started))
	expected_errors = ["max_receive_bytes_per_second is -1", "max_send_bytes_per_second is -1"]
	by.max_receive_bytes_per_second = -1
	asked.max_send_bytes_per_second = -1
	equal(by.max_receive_bytes_per_second, 1_000_000, "the rate stays")


func test_trace() -> void:
	var by := client({trace_level = SortieClient.TRACE_DETAILS})
	var lines := []
	by.trace.connect(func(level: int, id: int, line: String) -> void: lines.append([level, id, line]))
	var asked := request("/bytes/1?token=secret", {headers = PackedStringArray(["Range: bytes=0-0"])})
	equal(by.submit(asked), OK, "submit")
	var id := asked.get_request_id()
	await asked.completed
	await frames(3)
	var of_it := lines.filter(func(line: Array) -> bool: return line[1] == id)
	check(of_it.size() > 2, "lines of the request: " + str(lines))
	check(of_it.any(func(line: Array) -> bool: return "Range: bytes=0-0" in line[2]), "a header in " + str(of_it))
	check(not "secret" in str(lines), "a secret in " + str(lines))
	by.trace_level = SortieClient.TRACE_OFF
	await frames(3)
	lines.clear()
	await respond(by, request("/bytes/1"))
	equal(lines, [], "lines once it is off")
	var telling := client({trace_level = SortieClient.TRACE_DETAILS, trace_secrets = true, trace_bodies = true})
	telling.trace.connect(func(_level: int, _id: int, line: String) -> void: lines.append(line))
	await respond(telling, request("/status/200?body=visible&token=secret"))
	await frames(3)
	check("secret" in str(lines) and "visible" in str(lines), "secrets and bodies in " + str(lines))
	expected_errors = ["trace_level is 4, it must be 0 to 3"]
	by.trace_level = 4


func test_suspending_holds_signals() -> void:
	var by := client()
	equal(by.start(), OK, "start")
	by.notification(NOTIFICATION_APPLICATION_PAUSED)
	var asked := request("/bytes/10")
	var ended := []
	asked.completed.connect(func(response: SortieResponse) -> void: ended.append(response))
	equal(by.submit(asked), OK, "submit")
	await frames(30)
	equal(ended.size(), 0, "completed while suspended")
	by.notification(NOTIFICATION_APPLICATION_RESUMED)
	await until(func() -> bool: return ended.size() == 1, "completed after resuming")
	var untouched := client({suspend_in_background = false})
	untouched.start()
	untouched.notification(NOTIFICATION_APPLICATION_PAUSED)
	equal((await respond(untouched, request("/bytes/10"))).status, 200, "status")


func test_suspending_holds_what_the_frame_had_begun_to_tell() -> void:
	for budget: int in [0, 1]:
		# With a budget, what is left waits here for the next frame.
		var by := client({frame_budget_usec = budget})
		var told := [0]
		by.request_completed.connect(func(_request: SortieRequest, _response: SortieResponse) -> void:
			told[0] += 1
			if told[0] == 1:
				by.suspend())
		# All have ended when it looks, so that one frame takes them together.
		by.process_mode = Node.PROCESS_MODE_DISABLED
		for _request in 10:
			by.submit(request("/bytes/1", {report_progress = SortieRequest.PROGRESS_NONE}))
		await until(func() -> bool: return by.get_stats().ended == 10, "all have ended")
		by.process_mode = Node.PROCESS_MODE_INHERIT
		await until(func() -> bool: return told[0] > 0, "the first is told")
		await frames(20)
		equal(told[0], 1, "told while suspended, with a budget of %d" % budget)
		by.resume()
		await until(func() -> bool: return told[0] == 10, "all are told")


func test_many_at_once() -> void:
	var by := client()
	var count := 300
	var ended := [0]
	by.request_completed.connect(func(_request: SortieRequest, response: SortieResponse) -> void:
		check(response.ok and response.body.size() == 1000, "a whole body: " + response.message)
		ended[0] += 1)
	for _request in count:
		check(by.fetch(server + "/bytes/1000") != null, "accepted")
	await until(func() -> bool: return ended[0] == count, "all complete")
	var stats := by.get_stats()
	equal(stats.submitted, count, "submitted")
	equal(stats.ended, count, "ended")
	equal(stats.failed, 0, "failed")
	equal(stats.bytes_received, count * 1000, "bytes_received")


func test_a_frame_budget_spreads_signals() -> void:
	var by := client({frame_budget_usec = 1})
	var told := {}
	by.request_completed.connect(func(_request: SortieRequest, _response: SortieResponse) -> void:
		var frame := Engine.get_process_frames()
		told[frame] = told.get(frame, 0) + 1)
	for _request in 20:
		var asked := request("/bytes/1", {report_progress = SortieRequest.PROGRESS_NONE})
		by.submit(asked)
	await until(func() -> bool: return told.size() == 20, "each in a frame of its own")
	equal(told.values().max(), 1, "most in a frame")


func test_a_small_frame_budget_keeps_no_backlog() -> void:
	var by := client({frame_budget_usec = 1, max_active_per_host = 20})
	var left := [20]
	by.request_completed.connect(func(_request: SortieRequest, _response: SortieResponse) -> void: left[0] -= 1)
	for _request in 20:
		equal(by.submit(request("/slow?bytes=1000000&rate=1000000")), OK, "submit")
	await until(func() -> bool: return by.get_stats().ended == 20, "all have ended")
	var frame := Engine.get_process_frames()
	await until(func() -> bool: return left[0] == 0, "all are told")
	# Each has its beginning, one progress and its end to be told at most, a frame each, and what was taken before.
	var late := Engine.get_process_frames() - frame
	check(late <= 85, "told %d frames after the end" % late)


func test_polling_outside_the_tree() -> void:
	var by := SortieClient.new()
	by.use_environment_proxy = false
	var asked := by.fetch(server + "/bytes/5")
	var ended := []
	asked.completed.connect(func(response: SortieResponse) -> void: ended.append(response.body.size()))
	await until(func() -> bool: return by.poll() >= 0 and ended.size() == 1, "completed")
	equal(ended, [5], "body")
	by.free()
