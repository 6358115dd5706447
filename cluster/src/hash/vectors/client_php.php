#!/usr/bin/env php
<?php
/* Prints client-php.jsonl: which server php-memcached, configured as its users configure it, names for each key.
 *
 *     apt-get install php-cli php-memcached
 *     php client_php.php > client-php.jsonl
 *
 * Format as twemproxy.jsonl.
 */
$even = [["10.0.1.1", 11211, 1], ["10.0.1.2", 11311, 1], ["10.0.1.3", 11411, 1]];
$weighted = [["10.0.1.1", 11211, 1], ["10.0.1.2", 11311, 2], ["10.0.1.3", 11411, 5]];
$compatible = [Memcached::OPT_LIBKETAMA_COMPATIBLE => true];
$consistent = [Memcached::OPT_DISTRIBUTION => Memcached::DISTRIBUTION_CONSISTENT];
$cases = [
    ["modulo", [], $even],
    ["modulo:crc32", [Memcached::OPT_HASH => Memcached::HASH_CRC], $even],
    ["ketama", $compatible, $even],
    ["ketama", $compatible, $weighted],
    ["ketama-libmemcached", $consistent, $even],
    ["ketama-libmemcached:md5", $consistent + [Memcached::OPT_HASH => Memcached::HASH_MD5], $even],
    ["ketama-libmemcached", $consistent, $weighted],
];
foreach ($cases as [$hash, $options, $servers]) {
    $client = new Memcached();
    $client->setOptions($options);
    $client->addServers($servers);
    $picks = [];
    for ($k = 0; $k < 200; $k++) {
        $picked = $client->getServerByKey("key:" . $k * 7919 . ":user");
        $picks[] = array_search($picked["host"], array_column($servers, 0));
    }
    $named = array_map(fn($server) => ["$server[0]:$server[1]", $server[2]], $servers);
    echo json_encode(["hash" => $hash, "servers" => $named, "keys" => "user", "picks" => $picks]), "\n";
}
