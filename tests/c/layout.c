/*
 * Sizes, offsets and numbers as they were released. A program that was linked against an older Sortie holds them in its
 * code: what is here never changes, new fields come at the end of the structs that begin with their size.
 */
#include "check.h"

#include <stddef.h>

#define SIZE(type, wanted) CHECK_EQUAL(sizeof(type), wanted)
#define AT(type, field, wanted) CHECK_EQUAL(offsetof(type, field), wanted)

static void check_layouts(void)
{
    SIZE(sortie_result, 4);
    SIZE(sortie_request, 8);

    SIZE(sortie_header, 16);
    AT(sortie_header, name, 0);
    AT(sortie_header, value, 8);

    SIZE(sortie_form_part, 64);
    AT(sortie_form_part, name, 0);
    AT(sortie_form_part, data, 8);
    AT(sortie_form_part, data_length, 16);
    AT(sortie_form_part, path, 24);
    AT(sortie_form_part, directory, 32);
    AT(sortie_form_part, flags, 36);
    AT(sortie_form_part, filename, 40);
    AT(sortie_form_part, content_type, 48);
    AT(sortie_form_part, reserved, 56);

    SIZE(sortie_pin, 24);
    AT(sortie_pin, host, 0);
    AT(sortie_pin, public_keys, 8);
    AT(sortie_pin, flags, 16);
    AT(sortie_pin, reserved, 20);

    SIZE(sortie_client_certificate, 40);
    AT(sortie_client_certificate, host, 0);
    AT(sortie_client_certificate, certificate_file, 8);
    AT(sortie_client_certificate, key_file, 16);
    AT(sortie_client_certificate, key_password, 24);
    AT(sortie_client_certificate, flags, 32);
    AT(sortie_client_certificate, reserved, 36);

    SIZE(sortie_resolve, 32);
    AT(sortie_resolve, host, 0);
    AT(sortie_resolve, port, 8);
    AT(sortie_resolve, address_port, 12);
    AT(sortie_resolve, address, 16);
    AT(sortie_resolve, flags, 24);
    AT(sortie_resolve, reserved, 28);

    /* Structs that begin with their size may grow, their first fields stay. */
    CHECK(sizeof(sortie_client_config) >= 264);
    AT(sortie_client_config, struct_size, 0);
    AT(sortie_client_config, flags, 4);
    AT(sortie_client_config, user_agent, 8);
    AT(sortie_client_config, documents_directory, 16);
    AT(sortie_client_config, temporary_directory, 24);
    AT(sortie_client_config, caches_directory, 32);
    AT(sortie_client_config, application_support_directory, 40);
    AT(sortie_client_config, resource_directory, 48);
    AT(sortie_client_config, max_active, 56);
    AT(sortie_client_config, max_active_per_host, 60);
    AT(sortie_client_config, max_requests, 64);
    AT(sortie_client_config, timeout_ms, 68);
    AT(sortie_client_config, connect_timeout_ms, 72);
    AT(sortie_client_config, stall_timeout_ms, 76);
    AT(sortie_client_config, queue_timeout_ms, 80);
    AT(sortie_client_config, min_tls_version, 84);
    AT(sortie_client_config, max_body_bytes, 88);
    AT(sortie_client_config, max_buffered_bytes, 96);
    AT(sortie_client_config, default_headers, 104);
    AT(sortie_client_config, default_header_count, 112);
    AT(sortie_client_config, pin_count, 116);
    AT(sortie_client_config, pins, 120);
    AT(sortie_client_config, ca_file, 128);
    AT(sortie_client_config, client_certificates, 136);
    AT(sortie_client_config, client_certificate_count, 144);
    AT(sortie_client_config, resolve_count, 148);
    AT(sortie_client_config, resolves, 152);
    AT(sortie_client_config, proxy, 160);
    AT(sortie_client_config, no_proxy, 168);
    AT(sortie_client_config, cookie_file, 176);
    AT(sortie_client_config, reachability_interval_ms, 184);
    AT(sortie_client_config, max_decompression_ratio, 188);
    AT(sortie_client_config, max_file_bytes, 192);
    AT(sortie_client_config, cache_directory, 200);
    AT(sortie_client_config, max_cache_bytes, 208);
    AT(sortie_client_config, max_memory_cache_bytes, 216);
    AT(sortie_client_config, max_receive_bytes_per_second, 224);
    AT(sortie_client_config, max_send_bytes_per_second, 232);
    AT(sortie_client_config, trace_level, 240);
    AT(sortie_client_config, keep_alive_interval_ms, 244);
    AT(sortie_client_config, min_bytes_per_second, 248);
    AT(sortie_client_config, min_speed_period_ms, 256);
    AT(sortie_client_config, max_connection_idle_ms, 260);

    CHECK(sizeof(sortie_request_desc) >= 264);
    AT(sortie_request_desc, struct_size, 0);
    AT(sortie_request_desc, flags, 4);
    AT(sortie_request_desc, url, 8);
    AT(sortie_request_desc, method, 16);
    AT(sortie_request_desc, headers, 24);
    AT(sortie_request_desc, header_count, 32);
    AT(sortie_request_desc, priority, 36);
    AT(sortie_request_desc, user_data, 40);
    AT(sortie_request_desc, body, 48);
    AT(sortie_request_desc, body_length, 56);
    AT(sortie_request_desc, body_path, 64);
    AT(sortie_request_desc, body_directory, 72);
    AT(sortie_request_desc, body_kind, 76);
    AT(sortie_request_desc, content_type, 80);
    AT(sortie_request_desc, response_path, 88);
    AT(sortie_request_desc, response_directory, 96);
    AT(sortie_request_desc, progress, 100);
    AT(sortie_request_desc, max_redirects, 104);
    AT(sortie_request_desc, http_version, 108);
    AT(sortie_request_desc, timeout_ms, 112);
    AT(sortie_request_desc, connect_timeout_ms, 116);
    AT(sortie_request_desc, stall_timeout_ms, 120);
    AT(sortie_request_desc, queue_timeout_ms, 124);
    AT(sortie_request_desc, max_body_bytes, 128);
    AT(sortie_request_desc, username, 136);
    AT(sortie_request_desc, password, 144);
    AT(sortie_request_desc, bearer_token, 152);
    AT(sortie_request_desc, expected_sha256, 160);
    AT(sortie_request_desc, expected_length, 168);
    AT(sortie_request_desc, max_attempts, 176);
    AT(sortie_request_desc, retry_delay_ms, 180);
    AT(sortie_request_desc, max_retry_delay_ms, 184);
    AT(sortie_request_desc, attempt_timeout_ms, 188);
    AT(sortie_request_desc, max_file_bytes, 192);
    AT(sortie_request_desc, form_parts, 200);
    AT(sortie_request_desc, form_part_count, 208);
    AT(sortie_request_desc, stream_window_bytes, 212);
    AT(sortie_request_desc, cache_mode, 216);
    AT(sortie_request_desc, reserved, 220);
    AT(sortie_request_desc, max_receive_bytes_per_second, 224);
    AT(sortie_request_desc, max_send_bytes_per_second, 232);
    AT(sortie_request_desc, min_bytes_per_second, 240);
    AT(sortie_request_desc, min_speed_period_ms, 248);
    AT(sortie_request_desc, reserved_speed, 252);
    AT(sortie_request_desc, proxy, 256);

    CHECK(sizeof(sortie_mock) >= 72);
    AT(sortie_mock, struct_size, 0);
    AT(sortie_mock, status, 4);
    AT(sortie_mock, method, 8);
    AT(sortie_mock, url, 16);
    AT(sortie_mock, headers, 24);
    AT(sortie_mock, header_count, 32);
    AT(sortie_mock, delay_ms, 36);
    AT(sortie_mock, body, 40);
    AT(sortie_mock, body_length, 48);
    AT(sortie_mock, bytes_per_second, 56);
    AT(sortie_mock, error, 64);
    AT(sortie_mock, times, 68);

    /* Programs make arrays of these: not a byte more, ever. */
    SIZE(sortie_event, 128);
    AT(sortie_event, request, 0);
    AT(sortie_event, user_data, 8);
    AT(sortie_event, type, 16);
    AT(sortie_event, error, 20);
    AT(sortie_event, status, 24);
    AT(sortie_event, body_kind, 28);
    AT(sortie_event, body, 32);
    AT(sortie_event, body_length, 40);
    AT(sortie_event, file_path, 48);
    AT(sortie_event, message, 56);
    AT(sortie_event, url, 64);
    AT(sortie_event, bytes_transferred, 72);
    AT(sortie_event, bytes_estimated, 80);
    AT(sortie_event, details, 88);
    AT(sortie_event, network, 96);
    AT(sortie_event, flags, 100);
    AT(sortie_event, attempts, 104);
    AT(sortie_event, retry_delay_ms, 108);
    AT(sortie_event, trace_level, 112);
    AT(sortie_event, reserved, 116);

    CHECK(sizeof(sortie_timing) >= 88);
    AT(sortie_timing, struct_size, 0);
    AT(sortie_timing, redirects, 4);
    AT(sortie_timing, queued_us, 8);
    AT(sortie_timing, name_lookup_us, 16);
    AT(sortie_timing, connect_us, 24);
    AT(sortie_timing, tls_us, 32);
    AT(sortie_timing, first_byte_us, 40);
    AT(sortie_timing, total_us, 48);
    AT(sortie_timing, attempts, 56);
    AT(sortie_timing, protocol, 60);
    AT(sortie_timing, connection_reused, 64);
    AT(sortie_timing, reserved, 68);
    AT(sortie_timing, bytes_received, 72);
    AT(sortie_timing, bytes_sent, 80);

    CHECK(sizeof(sortie_stats) >= 136);
    AT(sortie_stats, struct_size, 0);
    AT(sortie_stats, waiting, 4);
    AT(sortie_stats, active, 8);
    AT(sortie_stats, undrained, 12);
    AT(sortie_stats, submitted, 16);
    AT(sortie_stats, ended, 24);
    AT(sortie_stats, failed, 32);
    AT(sortie_stats, bytes_received, 40);
    AT(sortie_stats, bytes_sent, 48);
    AT(sortie_stats, buffered_bytes, 56);
    AT(sortie_stats, connections, 64);
    AT(sortie_stats, cache_hits, 72);
    AT(sortie_stats, cache_revalidated, 80);
    AT(sortie_stats, cache_misses, 88);
    AT(sortie_stats, cache_bytes, 96);
    AT(sortie_stats, connections_open, 104);
    AT(sortie_stats, resting, 108);
    AT(sortie_stats, attempts, 112);
    AT(sortie_stats, receive_bytes_per_second, 120);
    AT(sortie_stats, send_bytes_per_second, 128);
}

static void check_numbers(void)
{
    CHECK_EQUAL(SORTIE_OK, 0);
    CHECK_EQUAL(SORTIE_RESULT_NULL_ARGUMENT, -1);
    CHECK_EQUAL(SORTIE_RESULT_STRUCT_SIZE, -2);
    CHECK_EQUAL(SORTIE_RESULT_UTF8, -3);
    CHECK_EQUAL(SORTIE_RESULT_URL, -4);
    CHECK_EQUAL(SORTIE_RESULT_SCHEME, -5);
    CHECK_EQUAL(SORTIE_RESULT_METHOD, -6);
    CHECK_EQUAL(SORTIE_RESULT_HEADER, -7);
    CHECK_EQUAL(SORTIE_RESULT_PATH, -8);
    CHECK_EQUAL(SORTIE_RESULT_ARGUMENT, -9);
    CHECK_EQUAL(SORTIE_RESULT_BODY_TOO_LARGE, -10);
    CHECK_EQUAL(SORTIE_RESULT_BUSY, -11);
    CHECK_EQUAL(SORTIE_RESULT_STALE, -12);
    CHECK_EQUAL(SORTIE_RESULT_TOO_MANY_REQUESTS, -13);
    CHECK_EQUAL(SORTIE_RESULT_SYSTEM, -14);
    CHECK_EQUAL(SORTIE_RESULT_NOT_FOUND, -15);
    CHECK_EQUAL(SORTIE_RESULT_SHUTDOWN, -16);
    CHECK_EQUAL(SORTIE_RESULT_INTERNAL, -17);

    CHECK_EQUAL(SORTIE_EVENT_BEGAN, 1);
    CHECK_EQUAL(SORTIE_EVENT_PROGRESS, 2);
    CHECK_EQUAL(SORTIE_EVENT_DATA, 3);
    CHECK_EQUAL(SORTIE_EVENT_ENDED, 4);
    CHECK_EQUAL(SORTIE_EVENT_REACHABILITY, 5);
    CHECK_EQUAL(SORTIE_EVENT_WRITABLE, 6);
    CHECK_EQUAL(SORTIE_EVENT_RETRY, 7);
    CHECK_EQUAL(SORTIE_EVENT_TRACE, 8);

    CHECK_EQUAL(SORTIE_ERROR_NONE, 0);
    CHECK_EQUAL(SORTIE_ERROR_RESOLVE, 1);
    CHECK_EQUAL(SORTIE_ERROR_CONNECT, 2);
    CHECK_EQUAL(SORTIE_ERROR_TLS, 3);
    CHECK_EQUAL(SORTIE_ERROR_CERTIFICATE, 4);
    CHECK_EQUAL(SORTIE_ERROR_TIMEOUT, 5);
    CHECK_EQUAL(SORTIE_ERROR_CONNECT_TIMEOUT, 6);
    CHECK_EQUAL(SORTIE_ERROR_STALLED, 7);
    CHECK_EQUAL(SORTIE_ERROR_SEND, 8);
    CHECK_EQUAL(SORTIE_ERROR_RECEIVE, 9);
    CHECK_EQUAL(SORTIE_ERROR_PROTOCOL, 10);
    CHECK_EQUAL(SORTIE_ERROR_REDIRECTS, 11);
    CHECK_EQUAL(SORTIE_ERROR_BODY_TOO_LARGE, 12);
    CHECK_EQUAL(SORTIE_ERROR_DECODE, 13);
    CHECK_EQUAL(SORTIE_ERROR_FILE, 14);
    CHECK_EQUAL(SORTIE_ERROR_DISK_FULL, 15);
    CHECK_EQUAL(SORTIE_ERROR_INTEGRITY, 16);
    CHECK_EQUAL(SORTIE_ERROR_PROXY, 17);
    CHECK_EQUAL(SORTIE_ERROR_CANCELLED, 18);
    CHECK_EQUAL(SORTIE_ERROR_INVALID_URL, 19);
    CHECK_EQUAL(SORTIE_ERROR_UNSUPPORTED, 20);
    CHECK_EQUAL(SORTIE_ERROR_SHUTDOWN, 21);
    CHECK_EQUAL(SORTIE_ERROR_INTERNAL, 22);
    CHECK_EQUAL(SORTIE_ERROR_QUEUE_TIMEOUT, 23);
    CHECK_EQUAL(SORTIE_ERROR_ENCODE, 24);
    CHECK_EQUAL(SORTIE_ERROR_NOT_CACHED, 25);

    CHECK_EQUAL(SORTIE_BODY_DEFAULT, 0);
    CHECK_EQUAL(SORTIE_BODY_TEXT, 1);
    CHECK_EQUAL(SORTIE_BODY_BINARY, 2);
    CHECK_EQUAL(SORTIE_PROGRESS_NONE, 0);
    CHECK_EQUAL(SORTIE_PROGRESS_DOWNLOAD, 1);
    CHECK_EQUAL(SORTIE_PROGRESS_UPLOAD, 2);
    CHECK_EQUAL(SORTIE_PRIORITY_NORMAL, 0);
    CHECK_EQUAL(SORTIE_PRIORITY_HIGH, 1);
    CHECK_EQUAL(SORTIE_PRIORITY_LOW, 2);
    CHECK_EQUAL(SORTIE_DIRECTORY_NONE, 0);
    CHECK_EQUAL(SORTIE_DIRECTORY_DOCUMENTS, 1);
    CHECK_EQUAL(SORTIE_DIRECTORY_TEMPORARY, 2);
    CHECK_EQUAL(SORTIE_DIRECTORY_CACHES, 3);
    CHECK_EQUAL(SORTIE_DIRECTORY_APPLICATION_SUPPORT, 4);
    CHECK_EQUAL(SORTIE_DIRECTORY_RESOURCE, 5);
    CHECK_EQUAL(SORTIE_HTTP_DEFAULT, 0);
    CHECK_EQUAL(SORTIE_HTTP_1_1, 1);
    CHECK_EQUAL(SORTIE_HTTP_2_PRIOR_KNOWLEDGE, 2);
    CHECK_EQUAL(SORTIE_PROTOCOL_NONE, 0);
    CHECK_EQUAL(SORTIE_PROTOCOL_HTTP_1_0, 1);
    CHECK_EQUAL(SORTIE_PROTOCOL_HTTP_1_1, 2);
    CHECK_EQUAL(SORTIE_PROTOCOL_HTTP_2, 3);

    CHECK_EQUAL(SORTIE_TRACE_OFF, 0);
    CHECK_EQUAL(SORTIE_TRACE_ERRORS, 1);
    CHECK_EQUAL(SORTIE_TRACE_REQUESTS, 2);
    CHECK_EQUAL(SORTIE_TRACE_DETAILS, 3);
    CHECK_EQUAL(SORTIE_CLIENT_TRACE_SECRETS, 4);
    CHECK_EQUAL(SORTIE_CLIENT_TRACE_BODIES, 8);

    CHECK_EQUAL(SORTIE_TLS_DEFAULT, 0);
    CHECK_EQUAL(SORTIE_TLS_1_2, 1);
    CHECK_EQUAL(SORTIE_TLS_1_3, 2);
    CHECK_EQUAL(SORTIE_NO_TIMEOUT, UINT32_MAX);
    CHECK_EQUAL(SORTIE_REQUEST_MANUAL_REDIRECTS, 1);
    CHECK_EQUAL(SORTIE_REQUEST_INSECURE_REDIRECTS, 2);
    CHECK_EQUAL(SORTIE_REQUEST_BORROW_BODY, 4);
    CHECK_EQUAL(SORTIE_REQUEST_NO_SYNC, 8);
    CHECK_EQUAL(SORTIE_REQUEST_RAW_TEXT, 16);
    CHECK_EQUAL(SORTIE_REQUEST_NO_COOKIES, 32);
    CHECK_EQUAL(SORTIE_REQUEST_GZIP_BODY, 64);
    CHECK_EQUAL(SORTIE_REQUEST_STREAM_RESPONSE, 128);
    CHECK_EQUAL(SORTIE_REQUEST_STREAM_BODY, 256);
    CHECK_EQUAL(SORTIE_REQUEST_RESUME, 512);
    CHECK_EQUAL(SORTIE_REQUEST_RETRY_ANY_METHOD, 1024);
    CHECK_EQUAL(SORTIE_REQUEST_RETRY_EVENTS, 2048);
    CHECK_EQUAL(SORTIE_CLIENT_NO_COOKIES, 1);
    CHECK_EQUAL(SORTIE_CLIENT_MOCKS_ONLY, 2);
    CHECK_EQUAL(SORTIE_CACHE_DEFAULT, 0);
    CHECK_EQUAL(SORTIE_CACHE_NO_STORE, 1);
    CHECK_EQUAL(SORTIE_CACHE_RELOAD, 2);
    CHECK_EQUAL(SORTIE_CACHE_REVALIDATE, 3);
    CHECK_EQUAL(SORTIE_CACHE_ONLY_IF_CACHED, 4);
    CHECK_EQUAL(SORTIE_CACHE_FORCE, 5);
    CHECK_EQUAL(SORTIE_EVENT_FROM_CACHE, 1);
    CHECK_EQUAL(SORTIE_EVENT_REVALIDATED, 2);
    CHECK_EQUAL(SORTIE_EVENT_CREDENTIALS_UNUSED, 4);
    CHECK_EQUAL(SORTIE_NETWORK_REACHABLE, 1);
    CHECK_EQUAL(SORTIE_NETWORK_CONNECTION_REQUIRED, 2);
    CHECK_EQUAL(SORTIE_NETWORK_CONNECTION_ON_DEMAND, 4);
    CHECK_EQUAL(SORTIE_NETWORK_INTERACTION_REQUIRED, 8);
    CHECK_EQUAL(SORTIE_NETWORK_CELLULAR, 16);
    CHECK_EQUAL(SORTIE_NETWORK_WIFI, 32);
    CHECK_EQUAL(SORTIE_CHARSET_HEADER, 1);
    CHECK_EQUAL(SORTIE_CHARSET_BYTE_ORDER_MARK, 2);
    CHECK_EQUAL(SORTIE_CHARSET_XML_DECLARATION, 3);
    CHECK_EQUAL(SORTIE_CHARSET_META_CHARSET, 4);
    CHECK_EQUAL(SORTIE_CHARSET_META_HTTP_EQUIV, 5);
    CHECK_EQUAL(SORTIE_CHARSET_ASSUMED, 6);
}

int main(void)
{
    if (sizeof(void *) == 8)
        check_layouts();
    check_numbers();
    CHECK_EQUAL(sortie_abi_version(), SORTIE_ABI_VERSION);
    CHECK_TEXT(sortie_version(), SORTIE_VERSION);
    return 0;
}
