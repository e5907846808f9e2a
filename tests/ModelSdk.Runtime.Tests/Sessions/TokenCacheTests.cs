using ModelSdk.Runtime.Sessions;
using ModelSdk.Runtime.Tests.Fixtures;

namespace ModelSdk.Runtime.Tests.Sessions;

public class TokenCacheTests(RandomBundle bundle) : IClassFixture<RandomBundle>
{
    private static readonly int[] Tokens = [.. Enumerable.Range(0, 60).Select(i => (i * 37 + 11) % 250)];

    private SessionSet Sessions => bundle.Model.Loaded.Sessions;

    private TokenCache NewCache(int chunk = 16) => new(bundle.Model.Bundle.Architecture, bundle.Model.Bundle.Context, chunk, Sessions.Modes.Count, bundle.Model.Bundle.Cache);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Logits_do_not_depend_on_how_tokens_were_passed(int graph)
    {
        using TokenCache whole = NewCache(chunk: 64);
        whole.Append(Sessions[graph], Tokens, logits: true, CancellationToken.None);
        foreach (int piece in (int[])[1, 7, 16])
        {
            using TokenCache pieces = NewCache();
            for (int at = 0; at < Tokens.Length; at += piece)
                pieces.Append(Sessions[graph], Tokens.AsSpan(at, Math.Min(piece, Tokens.Length - at)), logits: true, CancellationToken.None);

            AssertClose(whole.Logits, pieces.Logits, 1e-4f);
        }
    }

    [Fact]
    public void Rewinding_forgets_exactly()
    {
        using TokenCache fresh = NewCache();
        fresh.Append(Sessions.Base, Tokens, logits: true, CancellationToken.None);
        using TokenCache used = NewCache();
        used.Append(Sessions.Base, Tokens.AsSpan(0, 32), logits: true, CancellationToken.None);
        used.Append(Sessions[1], [1, 2, 3, 4, 5, 6, 7, 8, 9], logits: true, CancellationToken.None);
        used.Rewind(32);
        used.Append(Sessions.Base, Tokens.AsSpan(32), logits: true, CancellationToken.None);

        Assert.Equal(fresh.Logits, used.Logits);
    }

    /// <summary>What guessing rests on: a token's logits and its keys and values are the same, bit for bit, whatever is run with it, rejected tokens behind it included.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Logits_of_several_tokens_in_a_pass_are_those_of_one_at_a_time(int graph)
    {
        const int start = 13;
        using TokenCache single = NewCache();
        single.Append(Sessions[graph], Tokens.AsSpan(0, start), logits: true, CancellationToken.None);
        List<float[]> expected = [];
        foreach (int token in Tokens.AsSpan(start))
        {
            single.Step(Sessions[graph], [token]);
            expected.Add([.. single.LogitsOf(0)]);
        }

        for (int count = 2; count <= TokenCache.MaxRows; count++)
        {
            using TokenCache several = NewCache();
            several.Append(Sessions[graph], Tokens.AsSpan(0, start), logits: true, CancellationToken.None);
            while (several.Length < Tokens.Length)
            {
                // The first half is kept, what follows is wrong and is taken back.
                int kept = Math.Min((count + 1) / 2, Tokens.Length - several.Length);
                int at = several.Length;
                int[] tokens = [.. Tokens.AsSpan(at, kept), .. Enumerable.Repeat(7, count - kept)];
                several.Step(Sessions[graph], tokens);
                for (int row = 0; row < kept; row++)
                    Assert.Equal(expected[at - start + row], several.LogitsOf(row));
                several.Rewind(at + kept);
            }

            Assert.Equal(Tokens, several.Tokens);
        }
    }

    [Fact]
    public void A_pass_of_more_tokens_than_it_can_take_is_refused()
    {
        using TokenCache cache = NewCache();

        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Step(Sessions.Base, new int[TokenCache.MaxRows + 1]));
        cache.Append(Sessions.Base, new int[cache.Context - 2], logits: false, CancellationToken.None);
        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Step(Sessions.Base, new int[3]));
    }

    [Fact]
    public void An_adapter_goes_on_from_what_the_base_encoded()
    {
        using TokenCache mixed = NewCache();
        mixed.Append(Sessions.Base, Tokens.AsSpan(0, 40), logits: false, CancellationToken.None);
        mixed.Append(Sessions[1], Tokens.AsSpan(40), logits: true, CancellationToken.None);
        float[] logits = [.. mixed.Logits];

        // The adapter on every token, and on none, give other logits.
        foreach (int graph in (int[])[0, 1])
        {
            using TokenCache pure = NewCache();
            pure.Append(Sessions[graph], Tokens, logits: true, CancellationToken.None);
            Assert.True(Distance(logits, pure.Logits) > 1e-3);
        }
    }

    [Fact]
    public void A_common_prefix_counts_only_tokens_that_the_right_graph_ran()
    {
        using TokenCache cache = NewCache();
        cache.Append(Sessions.Base, Tokens.AsSpan(0, 10), logits: false, CancellationToken.None);
        cache.Append(Sessions[1], Tokens.AsSpan(10, 5), logits: false, CancellationToken.None);

        Assert.Equal(15, cache.CommonPrefix(Tokens, boundary: 10, graph: 1));
        Assert.Equal(10, cache.CommonPrefix(Tokens, boundary: 10, graph: 2));
        Assert.Equal(10, cache.CommonPrefix(Tokens, boundary: 20, graph: 0));
        Assert.Equal(5, cache.CommonPrefix(Tokens, boundary: 5, graph: 1));
        Assert.Equal(3, cache.CommonPrefix([.. Tokens.AsSpan(0, 3), 249, 249], boundary: 5, graph: 0));
        Assert.Equal(10, cache.TokensRun(0));
        Assert.Equal(5, cache.TokensRun(1));
    }

    [Fact]
    public void A_decode_step_allocates_nothing()
    {
        using TokenCache cache = NewCache();
        int[] token = [5];
        for (int i = 0; i < 20; i++)
            cache.Append(Sessions.Base, token, logits: true, CancellationToken.None);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
            cache.Append(Sessions.Base, token, logits: true, CancellationToken.None);

        // Room for a method that is compiled again meanwhile; a single array a step would be 2,400 bytes and more.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1000);
    }

    [Fact]
    public void More_tokens_than_the_context_holds_are_refused()
    {
        using TokenCache cache = NewCache();

        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Append(Sessions.Base, new int[cache.Context + 1], logits: true, CancellationToken.None));
    }

    private static void AssertClose(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, float tolerance) =>
        Assert.InRange(Distance(expected, actual), 0, tolerance);

    private static float Distance(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        float most = 0;
        for (int i = 0; i < a.Length; i++)
            most = Math.Max(most, Math.Abs(a[i] - b[i]));
        return most;
    }
}
