//! How WebAssembly is compiled and run here. An artefact fits only an engine of the same configuration, so
//! everything that compiled code depends on is in one function.

use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    RegallocAlgorithm, WasmBacktraceDetails,
};

/// The deepest stack of a program, in KiB: CPython stops itself at its recursion limit long before.
pub const STACK_KIB: usize = 4096;
/// Linear memories in one program.
pub const MEMORIES_MAX: u32 = 4;
/// Tables in one program.
pub const TABLES_MAX: u32 = 64;
/// Core instances in one program, whatever the agreement says.
pub const INSTANCES_MAX: u32 = 1_000;
/// Elements of one table, whatever the agreement says.
pub const TABLE_ELEMENTS_MAX: usize = 1_000_000;
/// Linear memory of one program in MiB, whatever the agreement says: what 32 bits can address.
pub const MEMORY_MIB_MAX: u32 = 4096;

/// What host functions may use of a program's stack beyond [`STACK_KIB`], in KiB: they run on it.
const HOST_STACK_KIB: usize = 2048;
const KIB: usize = 1024;

/// All that compiled code depends on.
fn base() -> Config {
    let mut config = Config::new();
    // The same WebAssembly as `kekkai_program_check::features`.
    config
        .wasm_component_model(true)
        .wasm_tail_call(true)
        .wasm_extended_const(true)
        .wasm_simd(true)
        .wasm_relaxed_simd(true)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false);
    // A deadline, and cancelling: checked at each loop's head and each call.
    config.epoch_interruption(true).consume_fuel(false);
    config
        .max_wasm_stack(STACK_KIB * KIB)
        .async_stack_size((STACK_KIB + HOST_STACK_KIB) * KIB);
    // Every address of a 32-bit memory is mapped or reserved: no bounds checks.
    config
        .memory_reservation(4 << 30)
        .memory_guard_size(32 << 20)
        .memory_may_move(false)
        .memory_init_cow(true);
    // A trap is told by its kind. Where it happened is the program's business: nobody reads our log for it.
    config
        .wasm_backtrace_max_frames(None)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .native_unwind_info(false)
        .generate_address_map(false);
    config
}

/// For the process that compiles: it runs nothing.
pub fn compiler() -> Config {
    let mut config = base();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::Backtracking)
        .parallel_compilation(true);
    config
}

/// For the process that runs programs: it compiles nothing, and makes nothing executable but what is mapped
/// from an artefact. Memory, tables and stacks of one program are reserved before it comes.
pub fn worker() -> Config {
    let mut config = base();
    config.enable_compiler(false);
    config.allocation_strategy(pool());
    kekkai_sys_wasm::execute_mapped_code_only(&mut config);
    config
}

fn pool() -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(1)
        .total_core_instances(INSTANCES_MAX)
        .max_core_instances_per_component(INSTANCES_MAX)
        .total_memories(MEMORIES_MAX)
        .total_tables(TABLES_MAX)
        // One runs, one more is being cleared.
        .total_stacks(2)
        .max_memories_per_module(MEMORIES_MAX)
        .max_tables_per_module(TABLES_MAX)
        .max_memory_size(4 << 30)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_component_instance_size(16 << 20)
        .max_core_instance_size(16 << 20)
        // What a program leaves behind goes back to the kernel, zeroed, before another starts.
        .linear_memory_keep_resident(0)
        .table_keep_resident(0)
        .decommit_batch_size(1)
        .pagemap_scan(Enabled::No);
    InstanceAllocationStrategy::Pooling(pool)
}
