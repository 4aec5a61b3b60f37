## Everything that include/sortie.h has is here, too, or is said not to be, and why.
extends Case

## Constants that are the same number under the same name in a class.
const CONSTANTS := {
	"SORTIE_ERROR_": "SortieResponse",
	"SORTIE_CHARSET_": "SortieResponse",
	"SORTIE_PROTOCOL_": "SortieResponse",
	"SORTIE_BODY_": "SortieRequest",
	"SORTIE_PROGRESS_": "SortieRequest",
	"SORTIE_PRIORITY_": "SortieRequest",
	"SORTIE_DIRECTORY_": "SortieRequest",
	"SORTIE_HTTP_": "SortieRequest",
	"SORTIE_CACHE_": "SortieRequest",
	"SORTIE_TLS_": "SortieClient",
	"SORTIE_NETWORK_": "SortieClient",
	"SORTIE_TRACE_": "SortieClient",
}

## "Class.member" has it; "" and a reason: nothing has.
const FACES := {
	"SORTIE_EVENT_BEGAN": "SortieRequest.began",
	"SORTIE_EVENT_PROGRESS": "SortieRequest.progress",
	"SORTIE_EVENT_DATA": "SortieRequest.data",
	"SORTIE_EVENT_ENDED": "SortieRequest.completed",
	"SORTIE_EVENT_REACHABILITY": "SortieClient.reachability_changed",
	"SORTIE_EVENT_WRITABLE": "SortieRequest.writable",
	"SORTIE_EVENT_RETRY": "SortieRequest.retrying",
	"SORTIE_EVENT_TRACE": "SortieClient.trace",
	"SORTIE_EVENT_FROM_CACHE": "SortieResponse.from_cache",
	"SORTIE_EVENT_REVALIDATED": "SortieResponse.revalidated",
	"SORTIE_EVENT_CREDENTIALS_UNUSED": "SortieResponse.credentials_unused",
	"SORTIE_NO_TIMEOUT": ["", "0 is no limit"],
	"SORTIE_REQUEST_MANUAL_REDIRECTS": "SortieRequest.follow_redirects",
	"SORTIE_REQUEST_INSECURE_REDIRECTS": "SortieRequest.insecure_redirects",
	"SORTIE_REQUEST_BORROW_BODY": ["", "Godot's arrays are not for other threads to read"],
	"SORTIE_REQUEST_NO_SYNC": "SortieRequest.sync",
	"SORTIE_REQUEST_RAW_TEXT": "SortieRequest.raw_text",
	"SORTIE_REQUEST_NO_COOKIES": "SortieRequest.cookies",
	"SORTIE_REQUEST_GZIP_BODY": "SortieRequest.gzip_body",
	"SORTIE_REQUEST_STREAM_RESPONSE": "SortieRequest.stream_response",
	"SORTIE_REQUEST_STREAM_BODY": "SortieRequest.stream_body",
	"SORTIE_REQUEST_RESUME": "SortieRequest.resume_download",
	"SORTIE_REQUEST_RETRY_ANY_METHOD": "SortieRequest.retry_any_method",
	"SORTIE_REQUEST_RETRY_EVENTS": "SortieRequest.retrying",
	"SORTIE_CLIENT_NO_COOKIES": "SortieClient.cookies",
	"SORTIE_CLIENT_MOCKS_ONLY": "SortieClient.mocks_only",
	"SORTIE_CLIENT_TRACE_SECRETS": "SortieClient.trace_secrets",
	"SORTIE_CLIENT_TRACE_BODIES": "SortieClient.trace_bodies",
	"SORTIE_ABI_VERSION": ["", "the extension is the library"],
	"SORTIE_OK": ["", "Godot's OK"],

	"sortie_client_create": "SortieClient.start",
	"sortie_client_destroy": "SortieClient.shutdown",
	"sortie_submit": "SortieClient.submit",
	"sortie_get": "SortieClient.fetch",
	"sortie_download": "SortieClient.download",
	"sortie_upload": "SortieClient.upload",
	"sortie_cancel": "SortieRequest.cancel",
	"sortie_request_pause": "SortieRequest.pause",
	"sortie_request_unpause": "SortieRequest.unpause",
	"sortie_request_set_priority": "SortieRequest.priority",
	"sortie_request_set_rate": "SortieRequest.max_receive_bytes_per_second",
	"sortie_body_write": "SortieRequest.write_body",
	"sortie_body_finish": "SortieRequest.finish_body",
	"sortie_poll": "SortieClient.poll",
	"sortie_wait": ["", "await waits for a signal"],
	"sortie_client_suspend": "SortieClient.suspend",
	"sortie_client_resume": "SortieClient.resume",
	"sortie_client_stats": "SortieClient.get_stats",
	"sortie_client_set_rate": "SortieClient.max_receive_bytes_per_second",
	"sortie_client_set_trace_level": "SortieClient.trace_level",
	"sortie_reachability_watch": "SortieClient.watch",
	"sortie_reachability_unwatch": "SortieClient.unwatch",
	"sortie_client_network": "SortieClient.get_network",
	"sortie_client_set_cookie": "SortieClient.set_cookie",
	"sortie_client_cookies": "SortieClient.cookies_for",
	"sortie_client_clear_cookies": "SortieClient.clear_cookies",
	"sortie_client_clear_cache": "SortieClient.clear_cache",
	"sortie_client_mock": "SortieClient.mock",
	"sortie_client_unmock": "SortieClient.unmock",
	"sortie_event_header": "SortieResponse.get_header",
	"sortie_event_header_count": "SortieResponse.headers",
	"sortie_event_header_at": "SortieResponse.headers",
	"sortie_event_trailer": "SortieResponse.get_trailer",
	"sortie_event_trailer_count": "SortieResponse.trailers",
	"sortie_event_trailer_at": "SortieResponse.trailers",
	"sortie_event_status_line": "SortieResponse.status_line",
	"sortie_event_effective_url": "SortieResponse.effective_url",
	"sortie_event_remote_address": "SortieResponse.remote_address",
	"sortie_event_charset": "SortieResponse.charset",
	"sortie_event_timing": "SortieResponse.get_timing",
	"sortie_event_take_body": "SortieResponse.body",
	"sortie_body_data": "SortieResponse.body",
	"sortie_body_length": "SortieResponse.body",
	"sortie_body_free": ["", "a SortieResponse is counted"],
	"sortie_form_urlencode": ["", "HTTPClient.query_string_from_dict()"],
	"sortie_percent_encode": ["", "String.uri_encode()"],
	"sortie_percent_decode": ["", "String.uri_decode()"],
	"sortie_abi_version": ["", "the extension is the library"],
	"sortie_version": "SortieClient.get_version",
	"sortie_result_string": ["", "Godot's error_string()"],
	"sortie_error_string": "SortieResponse.error_string",
	"sortie_last_error_message": ["", "the log says it"],

	"sortie_header.name": ["", "\"Name: value\""],
	"sortie_header.value": ["", "\"Name: value\""],
	"sortie_pin.host": "SortieClient.pins",
	"sortie_pin.public_keys": "SortieClient.pins",
	"sortie_client_certificate.host": "SortieClient.add_client_certificate",
	"sortie_client_certificate.certificate_file": "SortieClient.add_client_certificate",
	"sortie_client_certificate.key_file": "SortieClient.add_client_certificate",
	"sortie_client_certificate.key_password": "SortieClient.add_client_certificate",
	"sortie_resolve.host": "SortieClient.add_resolve",
	"sortie_resolve.port": "SortieClient.add_resolve",
	"sortie_resolve.address_port": "SortieClient.add_resolve",
	"sortie_resolve.address": "SortieClient.add_resolve",
	"sortie_client_config.default_header_count": ["", "an array knows it"],
	"sortie_client_config.pin_count": ["", "a dictionary knows it"],
	"sortie_client_config.client_certificates": "SortieClient.add_client_certificate",
	"sortie_client_config.client_certificate_count": ["", "one call each"],
	"sortie_client_config.resolve_count": ["", "one call each"],
	"sortie_client_config.resolves": "SortieClient.add_resolve",
	"sortie_form_part.name": "SortieRequest.add_form_field",
	"sortie_form_part.data": "SortieRequest.add_form_bytes",
	"sortie_form_part.data_length": "SortieRequest.add_form_bytes",
	"sortie_form_part.path": "SortieRequest.add_form_file",
	"sortie_form_part.directory": "SortieRequest.add_form_file",
	"sortie_form_part.filename": "SortieRequest.add_form_bytes",
	"sortie_form_part.content_type": "SortieRequest.add_form_bytes",
	"sortie_request_desc.header_count": ["", "an array knows it"],
	"sortie_request_desc.body_path": "SortieRequest.body_file",
	"sortie_request_desc.response_path": "SortieRequest.download_file",
	"sortie_request_desc.response_directory": "SortieRequest.download_directory",
	"sortie_request_desc.progress": "SortieRequest.report_progress",
	"sortie_request_desc.form_parts": "SortieRequest.is_form",
	"sortie_request_desc.form_part_count": ["", "one call each"],
	"sortie_event.request": "SortieRequest.get_request_id",
	"sortie_event.user_data": "SortieRequest.user_data",
	"sortie_event.type": ["", "a signal each"],
	"sortie_event.body_length": "SortieResponse.body",
	"sortie_event.details": ["", "for C functions"],
	"sortie_event.network": "SortieClient.reachability_changed",
	"sortie_event.retry_delay_ms": "SortieRequest.retrying",
	"sortie_event.trace_level": "SortieClient.trace",
	"sortie_mock.header_count": ["", "an array knows it"],
	"sortie_mock.body_length": "SortieMock.body",
}

## The class whose property a field of the same name is, "_ms" left out.
const STRUCTS := {
	"sortie_client_config": "SortieClient",
	"sortie_request_desc": "SortieRequest",
	"sortie_event": "SortieResponse",
	"sortie_mock": "SortieMock",
}

## Structs whose fields are keys of a Dictionary, with "_us" as "_usec".
const DICTIONARIES := ["sortie_stats", "sortie_timing"]

## Not a matter of the surface.
const PLUMBING := ["struct_size", "flags", "reserved", "reserved_speed"]

var header := FileAccess.get_file_as_string(OS.get_environment("SORTIE_HEADER"))
var used := {}


func test_the_whole_surface() -> void:
	check(header.contains("sortie_submit"), "the header is read")
	for found in matches("(?m)^#define (SORTIE_[A-Z0-9_]+) (-?[0-9]+)$"):
		constant(found.get_string(1), found.get_string(2).to_int())
	for found in matches("(?m)^[a-z][a-z0-9_ *]*?\\b(sortie_[a-z0-9_]+)\\("):
		face(found.get_string(1))
	for found in matches("(?s)typedef struct \\{(.*?)\\} (sortie_[a-z_]+);"):
		var without_comments := RegEx.create_from_string("(?s)/\\*.*?\\*/").sub(found.get_string(1), "", true)
		for field in RegEx.create_from_string("(\\w+)(\\[\\d+\\])?;").search_all(without_comments):
			if field.get_string(1) not in PLUMBING:
				member(found.get_string(2), field.get_string(1))
	for name: String in FACES:
		check(used.has(name), "%s is not in the header" % name)


func matches(pattern: String) -> Array[RegExMatch]:
	var found := RegEx.create_from_string(pattern).search_all(header)
	check(found.size() > 5, "matches of " + pattern)
	return found


func constant(name: String, value: int) -> void:
	if name.begins_with("SORTIE_RESULT_"):
		return # A call's result is one of Godot's Error.
	if FACES.has(name):
		face(name)
		return
	for prefix: String in CONSTANTS:
		if name.begins_with(prefix):
			var ours := name.trim_prefix("SORTIE_")
			check(ClassDB.class_has_integer_constant(CONSTANTS[prefix], ours), "no %s.%s" % [CONSTANTS[prefix], ours])
			equal(ClassDB.class_get_integer_constant(CONSTANTS[prefix], ours), value, name)
			return
	failed.emit("nothing is said of " + name)


func member(struct: String, field: String) -> void:
	var name := struct + "." + field
	if FACES.has(name):
		face(name)
	elif struct in DICTIONARIES:
		var made: Dictionary = client().get_stats() if struct == "sortie_stats" \
			else SortieResponse.new().get_timing()
		check(made.has(field.trim_suffix("_us") + "_usec" if field.ends_with("_us") else field), "no key for " + name)
	else:
		check(STRUCTS.has(struct), "nothing is said of " + struct)
		exists(STRUCTS.get(struct, ""), field.trim_suffix("_ms"), name)


func face(name: String) -> void:
	used[name] = true
	if not FACES.has(name):
		failed.emit("nothing is said of " + name)
	elif FACES[name] is String:
		var parts: PackedStringArray = FACES[name].split(".")
		exists(parts[0], parts[1], name)


func exists(type: String, what: String, of: String) -> void:
	var properties := ClassDB.class_get_property_list(type, true).map(
		func(property: Dictionary) -> String: return property.name)
	check(what in properties or ClassDB.class_has_method(type, what, true) or ClassDB.class_has_signal(type, what),
		"%s: there is no %s.%s" % [of, type, what])
