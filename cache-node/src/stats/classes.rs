//! `stats items` and `stats slabs`: one class stands for the whole store.

use bytes::BytesMut;

use super::lines::Lines;
use crate::node::Node;

/// The one class that stands for the whole store: tools that read classes find one.
const CLASS: u32 = 1;

/// `stats items`: nothing at all while the store is empty, as memcached.
pub(crate) fn items(node: &Node, out: &mut BytesMut) {
    let store = node.store.counters();
    if store.items == 0 {
        return;
    }
    Lines::with_prefix(out, format_args!("items:{CLASS}:"))
        .line("number", store.items)
        .line("number_hot", 0)
        .line("number_warm", 0)
        .line("number_cold", store.items)
        .zeros(&["age_hot", "age_warm", "age"])
        .line("mem_requested", store.item_bytes)
        .line("evicted", store.evicted)
        .line("evicted_nonzero", store.evicted_with_expiry)
        .line("evicted_time", store.last_evicted_idle_seconds)
        .line("outofmemory", store.out_of_memory)
        .line("tailrepairs", 0)
        .line("reclaimed", store.expired + store.flushed)
        .line("expired_unfetched", store.expired_unfetched)
        .line("evicted_unfetched", store.evicted_unfetched)
        .line(
            "evicted_active",
            store.evicted.saturating_sub(store.evicted_unfetched),
        )
        .line("crawler_reclaimed", store.expired + store.flushed)
        .zeros(&["crawler_items_checked", "lrutail_reflocked", "moves_to_cold"])
        .line("moves_to_warm", store.moved)
        .zeros(&[
            "moves_within_lru",
            "direct_reclaims",
            "hits_to_hot",
            "hits_to_warm",
        ])
        .line("hits_to_cold", node.totals_since_reset().get_hits)
        .zeros(&["hits_to_temp"]);
}

/// `stats slabs`: one class whose chunks are the items and whose pages are mebibytes of segments.
pub(crate) fn slabs(node: &Node, out: &mut BytesMut) {
    let totals = node.totals_since_reset();
    let store = node.store.counters();
    // Once something was stored there is a class, as memcached's stay when their items have gone.
    let in_use = store.items > 0 || store.items_stored > 0;
    if in_use {
        let mean_item = store.item_bytes.div_ceil(store.items.max(1)).max(1);
        let per_page = (1 << 20) / mean_item;
        Lines::with_prefix(out, format_args!("{CLASS}:"))
            .line("chunk_size", mean_item)
            .line("chunks_per_page", per_page)
            .line("total_pages", store.segment_bytes.div_ceil(1 << 20))
            .line("total_chunks", store.items)
            .line("used_chunks", store.items)
            .zeros(&["free_chunks", "free_chunks_end"])
            .line("mem_requested", store.item_bytes)
            .line("get_hits", totals.get_hits)
            .line("cmd_set", totals.cmd_set)
            .line("delete_hits", totals.delete_hits)
            .line("incr_hits", totals.incr_hits)
            .line("decr_hits", totals.decr_hits)
            .line("cas_hits", totals.cas_hits)
            .line("cas_badval", totals.cas_badval)
            .line("touch_hits", totals.touch_hits);
    }
    Lines::new(out)
        .line("active_slabs", u8::from(in_use))
        .line("total_malloced", store.used_bytes);
}
