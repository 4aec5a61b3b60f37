## What is sent, and what comes.
extends Case


func test_text_json_and_bytes() -> void:
	var by := client()
	var text := request("/inspect")
	text.set_text("Grüße")
	var seen := (await respond(by, text)).text
	check(seen.begins_with("POST /inspect"), "a POST: " + seen)
	check("Content-Type: text/plain; charset=UTF-8" in seen and "Content-Length: 7" in seen, seen)
	var json := request("/echo", {method = "PUT"})
	json.set_json({"name": "Jürgen", "scores": [1, 2]})
	var echoed := await respond(by, json)
	equal(echoed.get_header("Content-Type"), "application/json", "content type")
	equal(echoed.json(), {"name": "Jürgen", "scores": [1.0, 2.0]}, "json")
	var raw := request("/echo", {body = PackedByteArray([0, 255, 10, 0])})
	var came := await respond(by, raw)
	equal(came.body, PackedByteArray([0, 255, 10, 0]), "bytes")
	equal(came.get_header("Content-Type"), "application/octet-stream", "content type")
	equal(came.body_kind, SortieRequest.BODY_BINARY, "body_kind")


func test_charsets_are_made_utf_8() -> void:
	var by := client()
	var path := "/reply?header=Content-Type:%20text/plain;%20charset%3Dwindows-1252&hex=fc"
	var response := await respond(by, request(path))
	equal(response.text, "ü", "text")
	equal(response.charset, "windows-1252", "charset")
	equal(response.charset_source, SortieResponse.CHARSET_HEADER, "charset_source")
	equal(response.body_kind, SortieRequest.BODY_TEXT, "body_kind")
	var raw := await respond(by, request(path, {raw_text = true}))
	equal(raw.body, PackedByteArray([0xfc]), "raw body")
	var sent := request("/upload", {content_type = "text/plain; charset=windows-1252"})
	sent.set_text("ü")
	check((await respond(by, sent)).text.begins_with("1 "), "sent as one byte")


func test_compression() -> void:
	var by := client()
	equal((await respond(by, request("/gzip?bytes=50000"))).body.size(), 50000, "decompressed")
	var bomb := await respond(by, request("/gzip-bomb?bytes=300000000"))
	equal(bomb.error, SortieResponse.ERROR_BODY_TOO_LARGE, "bomb")
	var sent := request("/inspect", {gzip_body = true})
	sent.set_text("a".repeat(10000))
	check("Content-Encoding: gzip" in (await respond(by, sent)).text, "sent compressed")


func test_forms() -> void:
	var path := fresh_file("form.bin")
	var file := FileAccess.open(path, FileAccess.WRITE)
	file.store_string("file's content")
	file.close()
	var asked := request("/echo")
	asked.add_form_field("name", "Jürgen & co")
	asked.add_form_bytes("shot", PackedByteArray([1, 2, 3]), "shot.png", "image/png")
	asked.add_form_file("save", path)
	asked.add_form_file("again", path, "other.sav")
	var response := await respond(client(), asked)
	check(response.get_header("Content-Type").begins_with("multipart/form-data; boundary="), "content type")
	var sent := response.body.get_string_from_utf8()
	for part in ["name=\"name\"\r\n\r\nJürgen & co", "filename=\"shot.png\"\r\nContent-Type: image/png",
			"filename=\"form.bin\"", "filename=\"other.sav\"", "file's content"]:
		check(part in sent, part)
	asked.is_form = false
	equal((await respond(client(), asked)).body.size(), 0, "without the form")
	asked.is_form = true
	check((await respond(client(), asked)).body.size() > 0, "an empty form")


func test_a_response_is_streamed() -> void:
	var asked := request("/bytes/2000000", {stream_response = true, stream_window_bytes = 16384})
	var pieces := []
	asked.data.connect(func(chunk: PackedByteArray) -> void: pieces.append(chunk.size()))
	var response := await respond(client(), asked)
	equal(response.error, SortieResponse.ERROR_NONE, "error")
	equal(response.body.size(), 0, "body")
	equal(pieces.reduce(func(sum: int, size: int) -> int: return sum + size, 0), 2_000_000, "bytes in pieces")
	check(pieces.size() > 10, "%d pieces" % pieces.size())


func test_a_request_is_streamed() -> void:
	var by := client()
	var asked := request("/upload", {stream_body = true, stream_window_bytes = 16384})
	equal(asked.write_body(bytes(1)), -1, "written before it runs")
	var left := [1_000_000]
	var write := func(to: SortieRequest) -> void:
		# What was asked for before the last piece was taken may be told after it.
		if left[0] < 0:
			return
		while left[0] > 0:
			var taken := to.write_body(bytes(mini(left[0], 50000)))
			if taken <= 0:
				return
			left[0] -= taken
		left[0] = -1
		equal(to.finish_body(), OK, "finish_body")
	equal(by.submit(asked), OK, "submit")
	var of_asked: WeakRef = weakref(asked)
	asked.writable.connect(func() -> void: write.call(of_asked.get_ref()))
	write.call(asked)
	var response: SortieResponse = await asked.completed
	equal(response.text.get_slice(" ", 0), "1000000", "bytes sent")
	equal(response.get_timing().bytes_sent, 1_000_000, "bytes_sent")
	var known := request("/inspect", {stream_body = true, body_length = 3, method = "PUT"})
	equal(by.submit(known), OK, "submit")
	expected_errors = ["4 bytes of body, and body_length leaves 3"]
	equal(known.write_body(bytes(4)), -1, "more than said")
	equal(known.write_body(bytes(3)), 3, "write_body")
	check("Content-Length: 3" in (await known.completed as SortieResponse).text, "its length is told")
	equal(known.finish_body(), ERR_DOES_NOT_EXIST, "finish_body after the end")


func test_bodies_of_100_mb() -> void:
	var by := client({max_body_bytes = 0, timeout = 0.0})
	var count := 100 << 20
	var response := await respond(by, request("/bytes/%d" % count))
	equal(response.body.size(), count, "received")
	response = null
	var sent := await respond(by, request("/upload", {body = bytes(count)}))
	check(sent.text.begins_with("%d " % count), "sent: " + sent.text)
	var limited := await respond(client(), request("/bytes/%d" % count))
	equal(limited.error, SortieResponse.ERROR_BODY_TOO_LARGE, "error")
	check("64 MiB" in limited.message, "the limit in: " + limited.message)


func test_json_that_is_none() -> void:
	var response := await respond(client(), request("/status/200?body={broken"))
	expected_errors = ["SortieResponse.json(): the body of %s is not JSON" % response.url]
	equal(response.json(), null, "json")
