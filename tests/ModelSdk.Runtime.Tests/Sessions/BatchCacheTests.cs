using ModelSdk.Runtime.Sessions;
using ModelSdk.Runtime.Tests.Fixtures;

namespace ModelSdk.Runtime.Tests.Sessions;

public class BatchCacheTests(RandomBundle bundle) : IClassFixture<RandomBundle>
{
    private static readonly int[] Tokens = [.. Enumerable.Range(0, 90).Select(i => (i * 37 + 11) % 250)];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private SessionSet Sessions => bundle.Model.Loaded.Sessions;

    [Fact]
    public void Ragged_rows_compute_what_single_sequences_compute()
    {
        using BatchCache batch = NewBatch(5);
        int[] lengths = [3, 40, 17, 1, 29];
        BatchRow[] rows = [.. lengths.Select(length => Add(batch, length))];
        for (int step = 0; step < 12; step++)
        {
            for (int i = 0; i < rows.Length; i++)
                rows[i].Next = Tokens[lengths[i] + step];
            batch.Step(Sessions[1]);
        }

        for (int i = 0; i < rows.Length; i++)
        {
            Assert.Equal(lengths[i] + 12, rows[i].Length);
            AssertClose(Reference(lengths[i], 12), rows[i].Logits);
        }
    }

    [Fact]
    public void Rows_come_and_go_without_changing_the_others()
    {
        using BatchCache batch = NewBatch(4);
        BatchRow a = Add(batch, 10);
        BatchRow b = Add(batch, 20);
        BatchRow c = Add(batch, 30);
        Step(batch, (a, 10), (b, 20), (c, 30));
        batch.Remove(a);
        BatchRow d = Add(batch, 5);
        BatchRow e = batch.Fork(c);
        Assert.Equal(c.Logits, e.Logits);
        Step(batch, (b, 21), (c, 31), (d, 5), (e, 31));
        batch.Remove(b);
        Step(batch, (c, 32), (d, 6), (e, 32));

        AssertClose(Reference(30, 3), c.Logits);
        AssertClose(Reference(5, 2), d.Logits);
        Assert.Equal(c.Logits, e.Logits);
        Assert.Equal(3, batch.Rows.Count);
        Assert.Throws<InvalidOperationException>(() => batch.Remove(a));
        Assert.Throws<InvalidOperationException>(() => a.Logits.ToArray());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(40)]
    public void A_block_of_tokens_runs_on_one_row_alone(int block)
    {
        using BatchCache batch = NewBatch(3);
        BatchRow a = Add(batch, 10);
        BatchRow b = Add(batch, 20);
        float[] before = a.Logits.ToArray();

        batch.Append(Sessions[1], b, Tokens.AsSpan(20, block));

        AssertClose(Reference(20, block), b.Logits);
        Assert.Equal(before, a.Logits);
        Step(batch, (a, 10), (b, 20 + block));
        AssertClose(Reference(10, 1), a.Logits);
        AssertClose(Reference(20, block + 1), b.Logits);
    }

    [Fact]
    public void A_rewound_row_forgets_exactly()
    {
        using BatchCache batch = NewBatch(2);
        BatchRow row = Add(batch, 20);
        batch.Append(Sessions[1], row, Tokens.AsSpan(20, 5));
        batch.Append(Sessions[1], row, [1, 2, 3]);
        batch.Rewind(row, 25);
        batch.Append(Sessions[1], row, Tokens.AsSpan(25, 4));
        BatchRow straight = Add(batch, 20);
        batch.Append(Sessions[1], straight, Tokens.AsSpan(20, 5));
        batch.Append(Sessions[1], straight, Tokens.AsSpan(25, 4));

        Assert.Equal(straight.Logits, row.Logits);
    }

    [Fact]
    public void What_does_not_fit_is_refused()
    {
        using BatchCache batch = new(bundle.Model.Bundle.Architecture, 1, 24, 16, bundle.Model.Bundle.Cache);
        BatchRow row = Add(batch, 20);

        Assert.Throws<InvalidOperationException>(() => batch.Fork(row));
        Assert.Throws<ArgumentOutOfRangeException>(() => batch.Append(Sessions[1], row, Tokens.AsSpan(20, 5)));
        batch.Append(Sessions[1], row, Tokens.AsSpan(20, 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => batch.Step(Sessions[1]));
        batch.Clear();
        Assert.Throws<ArgumentOutOfRangeException>(() => Add(batch, 25));
    }

    [Fact]
    public void A_step_allocates_nothing()
    {
        using BatchCache batch = NewBatch(3);
        for (int i = 0; i < 3; i++)
            Add(batch, 10 + i);
        for (int i = 0; i < 20; i++)
            batch.Step(Sessions[1]);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
            batch.Step(Sessions[1]);

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1000);
    }

    private void Step(BatchCache batch, params ReadOnlySpan<(BatchRow Row, int At)> rows)
    {
        foreach ((BatchRow row, int at) in rows)
            row.Next = Tokens[at];
        batch.Step(Sessions[1]);
    }

    private BatchCache NewBatch(int capacity) => new(bundle.Model.Bundle.Architecture, capacity, bundle.Model.Bundle.Context, 16, bundle.Model.Bundle.Cache);

    private BatchRow Add(BatchCache batch, int length)
    {
        using TokenCache cache = NewCache();
        cache.Append(Sessions.Base, Tokens.AsSpan(0, length), logits: true, Cancel);
        return batch.Add(cache);
    }

    /// <summary>Logits behind tokens of which the base ran the first and the adapter the others, one by one.</summary>
    private float[] Reference(int length, int more)
    {
        using TokenCache cache = NewCache();
        cache.Append(Sessions.Base, Tokens.AsSpan(0, length), logits: true, Cancel);
        for (int i = 0; i < more; i++)
            cache.Append(Sessions[1], Tokens.AsSpan(length + i, 1), logits: true, Cancel);
        return cache.Logits.ToArray();
    }

    private TokenCache NewCache() => new(bundle.Model.Bundle.Architecture, bundle.Model.Bundle.Context, 16, Sessions.Modes.Count, bundle.Model.Bundle.Cache);

    private static void AssertClose(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        float most = 0;
        for (int i = 0; i < expected.Length; i++)
            most = Math.Max(most, Math.Abs(expected[i] - actual[i]));
        Assert.InRange(most, 0, 1e-4f);
    }
}
