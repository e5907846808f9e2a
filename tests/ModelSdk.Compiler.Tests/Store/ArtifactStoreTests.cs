using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;

namespace ModelSdk.Compiler.Tests.Store;

public sealed class ArtifactStoreTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task An_entry_is_made_once_and_read_after_that()
    {
        int made = 0;
        StoreEntry first = await Create(Open(), Key("a"), f => WriteText(f, "x.txt", "hello", () => made++));
        StoreEntry second = await Create(Open(), Key("a"), f => WriteText(f, "x.txt", "never", () => made++));
        Assert.Equal(1, made);
        Assert.False(first.Cached);
        Assert.True(second.Cached);
        Assert.Equal("hello", File.ReadAllText(second.File("x.txt")));
        Assert.Equal(first.Record.Seconds, second.Record.Seconds);
    }

    [Fact]
    public async Task Other_inputs_give_another_entry()
    {
        ArtifactStore store = Open();
        StoreEntry first = await Create(store, Key("a"), f => WriteText(f, "x.txt", "1"));
        StoreEntry second = await Create(store, Key("b"), f => WriteText(f, "x.txt", "2"));
        Assert.NotEqual(first.Folder, second.Folder);
    }

    [Fact]
    public void Values_with_line_ends_cannot_imitate_other_inputs()
    {
        StageKey one = new StageKeyBuilder("s", 1).Add("a", "x\nb=\"y\"").Build();
        StageKey two = new StageKeyBuilder("s", 1).Add("a", "x").Add("b", "y").Build();
        StageKey absent = new StageKeyBuilder("s", 1).Add("a", (string?)null).Build();
        StageKey text = new StageKeyBuilder("s", 1).Add("a", "null").Build();
        Assert.NotEqual(one.Hash, two.Hash);
        Assert.NotEqual(absent.Hash, text.Hash);
    }

    [Fact]
    public void The_stage_version_is_part_of_the_key() =>
        Assert.NotEqual(new StageKeyBuilder("s", 1).Build().Hash, new StageKeyBuilder("s", 2).Build().Hash);

    [Theory]
    [InlineData("changed byte")]
    [InlineData("truncated")]
    [InlineData("missing file")]
    [InlineData("missing record")]
    [InlineData("broken record")]
    [InlineData("record of another key")]
    public async Task A_damaged_entry_is_refused_with_its_folder_and_what_to_do(string damage)
    {
        StoreEntry entry = await Create(Open(), Key("a"), f => WriteText(f, "x.txt", "hello"));
        string record = entry.File("entry.json");
        switch (damage)
        {
            case "changed byte": File.WriteAllText(entry.File("x.txt"), "hellO"); break;
            case "truncated": File.WriteAllText(entry.File("x.txt"), "hell"); break;
            case "missing file": File.Delete(entry.File("x.txt")); break;
            case "missing record": File.Delete(record); break;
            case "broken record": File.WriteAllText(record, "{"); break;
            default: File.WriteAllText(record, File.ReadAllText(record).Replace(entry.Key.Hash, new string('0', 64), StringComparison.Ordinal)); break;
        }

        CompilerException error = await Assert.ThrowsAsync<CompilerException>(() => Create(Open(), Key("a"), f => WriteText(f, "x.txt", "again")));
        Assert.Equal(DiagnosticCodes.StoreEntryDamaged, error.Code);
        Assert.Contains(entry.Folder, error.Message, StringComparison.Ordinal);
        Assert.Contains("ModelClean", error.Message, StringComparison.Ordinal);

        Directory.Delete(entry.Folder, recursive: true);
        StoreEntry again = await Create(Open(), Key("a"), f => WriteText(f, "x.txt", "again"));
        Assert.False(again.Cached);
    }

    [Fact]
    public async Task Of_two_that_make_the_same_entry_one_waits_and_reads_what_the_other_made()
    {
        TaskCompletionSource started = new();
        TaskCompletionSource waiting = new();
        int made = 0;
        Task<StoreEntry> winner = Open().GetOrCreateAsync(
            Key("a"),
            async folders =>
            {
                started.SetResult();
                await waiting.Task;
                WriteText(folders, "x.txt", "winner", () => made++);
            },
            () => { },
            TestContext.Current.CancellationToken);
        await started.Task;
        Task<StoreEntry> loser = Open().GetOrCreateAsync(
            Key("a"),
            folders =>
            {
                WriteText(folders, "x.txt", "loser", () => made++);
                return Task.CompletedTask;
            },
            waiting.SetResult,
            TestContext.Current.CancellationToken);
        StoreEntry[] entries = await Task.WhenAll(winner, loser);
        Assert.Equal(1, made);
        Assert.False(entries[0].Cached);
        Assert.True(entries[1].Cached);
        Assert.Equal("winner", File.ReadAllText(entries[1].File("x.txt")));
    }

    [Fact]
    public async Task Waiting_for_another_can_be_cancelled()
    {
        using StoreLock held = StoreLock.TryAcquire(_folder["store", "locks", $"s-{Key("a").Hash}"])!;
        using CancellationTokenSource cancellation = new();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            Open().GetOrCreateAsync(Key("a"), _ => Task.CompletedTask, cancellation.Cancel, cancellation.Token));
    }

    [Fact]
    public async Task A_stage_that_fails_leaves_its_checkpoints_and_nothing_else()
    {
        ArtifactStore store = Open();
        await Assert.ThrowsAsync<InvalidOperationException>(() => Create(store, Key("a"), folders =>
        {
            Directory.CreateDirectory(folders.Work);
            File.WriteAllText(Path.Combine(folders.Work, "step.json"), "7");
            WriteText(folders, "half.txt", "half");
            throw new InvalidOperationException("stopped");
        }));
        Assert.False(store.Contains(Key("a")));
        Assert.Empty(Directory.GetDirectories(_folder["store", "tmp"]));

        string? found = null;
        StoreEntry entry = await Create(Open(), Key("a"), folders =>
        {
            found = File.ReadAllText(Path.Combine(folders.Work, "step.json"));
            WriteText(folders, "x.txt", "done");
        });
        Assert.Equal("7", found);
        Assert.Equal(["x.txt"], entry.Record.Files.Keys);
        Assert.False(Directory.Exists(store.WorkFolder(Key("a"))));
    }

    [Fact]
    public async Task Left_overs_of_killed_runs_are_removed_but_not_those_of_running_ones()
    {
        ArtifactStore store = Open();
        await Create(store, Key("a"), f => WriteText(f, "x.txt", "1"));
        Directory.CreateDirectory(_folder["store", "tmp", "s-dead"]);
        Directory.CreateDirectory(_folder["store", "tmp", "s-running"]);
        string oldWork = _folder["store", "work", "s", "old"];
        string freshWork = _folder["store", "work", "s", "fresh"];
        Directory.CreateDirectory(oldWork);
        Directory.CreateDirectory(freshWork);
        Directory.SetLastWriteTimeUtc(oldWork, DateTime.UtcNow.AddDays(-31));
        using (StoreLock.TryAcquire(_folder["store", "locks", "s-running"]))
        {
            store.CollectGarbage();
        }

        Assert.False(Directory.Exists(_folder["store", "tmp", "s-dead"]));
        Assert.True(Directory.Exists(_folder["store", "tmp", "s-running"]));
        Assert.False(Directory.Exists(oldWork));
        Assert.True(Directory.Exists(freshWork));
        Assert.True(Open().TryRead(Key("a")) is not null);
    }

    [Fact]
    public async Task A_store_that_cannot_be_written_gives_one_clear_error()
    {
        string file = _folder.Write("a-file", "no folder");
        ArtifactStore store = new(Path.Combine(file, "store"));
        CompilerException error = await Assert.ThrowsAsync<CompilerException>(() => Create(store, Key("a"), f => WriteText(f, "x.txt", "1")));
        Assert.Equal(DiagnosticCodes.StoreNotAccessible, error.Code);
        Assert.Contains(store.Root, error.Message, StringComparison.Ordinal);
        Assert.Contains("MODELSDK_STORE", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_read_only_store_serves_what_it_holds()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("Folder permissions are those of Unix.");
            return;
        }

        await Create(Open(), Key("a"), f => WriteText(f, "x.txt", "1"));
        string[] folders = [_folder["store"], .. Directory.GetDirectories(_folder["store"], "*", SearchOption.AllDirectories)];
        foreach (string folder in folders)
        {
            File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }

        try
        {
            ArtifactStore store = Open();
            store.CollectGarbage();
            StoreEntry entry = await Create(store, Key("a"), _ => throw new InvalidOperationException("It is there already."));
            Assert.True(entry.Cached);
        }
        finally
        {
            foreach (string folder in folders)
            {
                File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
        }
    }

    [Fact]
    public void A_full_disk_is_recognised()
    {
        Assert.SkipUnless(File.Exists("/dev/full"), "Needs the device that is always full.");
        IOException full = Assert.ThrowsAny<IOException>(() => File.WriteAllBytes("/dev/full", new byte[1 << 16]));
        CompilerException error = StoreErrors.Store(full, "/store");
        Assert.Equal(DiagnosticCodes.DiskFull, error.Code);
        Assert.Equal(DiagnosticCodes.StoreNotAccessible, StoreErrors.Store(new IOException("other"), "/store").Code);
    }

    private static StageKey Key(string input) => new StageKeyBuilder("s", 1).Add("input", input).Build();

    private static void WriteText(StageFolders folders, string file, string text, Action? also = null)
    {
        also?.Invoke();
        File.WriteAllText(Path.Combine(folders.Output, file), text);
    }

    private static Task<StoreEntry> Create(ArtifactStore store, StageKey key, Action<StageFolders> produce) => store.GetOrCreateAsync(
        key,
        folders =>
        {
            produce(folders);
            return Task.CompletedTask;
        },
        () => Assert.Fail("Nobody else holds this entry."),
        TestContext.Current.CancellationToken);

    private ArtifactStore Open() => new(_folder["store"]);
}
