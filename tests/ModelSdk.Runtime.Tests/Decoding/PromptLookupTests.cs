using ModelSdk.Runtime.Decoding;

namespace ModelSdk.Runtime.Tests.Decoding;

public class PromptLookupTests
{
    private readonly int[] _draft = new int[15];

    [Fact]
    public void What_followed_the_longest_match_is_offered()
    {
        // "2 3" stood twice; the place where "1 2 3" stood goes before the later one.
        PromptLookup lookup = Over([], 1, 2, 3, 40, 41, 42, 9, 2, 3, 50, 51, 52, 1, 2, 3);

        Assert.Equal(40, Offer(lookup)[0]);
    }

    [Fact]
    public void Of_equal_matches_the_latest_is_offered()
    {
        PromptLookup lookup = Over([], 2, 3, 40, 9, 2, 3, 50, 8, 2, 3);

        Assert.Equal(50, Offer(lookup)[0]);
    }

    [Fact]
    public void What_repeats_is_taken_to_repeat_again()
    {
        PromptLookup lookup = Over([], 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2);

        int[] offer = Offer(lookup);

        Assert.True(offer.Length > 4, $"{offer.Length} tokens are offered.");
        Assert.Equal(Enumerable.Range(0, offer.Length).Select(i => 1 + i % 2), offer);
    }

    [Fact]
    public void Known_texts_are_found_where_nothing_else_is()
    {
        Assert.Equal([71], Offer(Over([70, 71], 1, 2, 70)));
        Assert.Equal(5, Offer(Over([70, 71], 70, 5, 70))[0]);
    }

    [Fact]
    public void Nothing_is_offered_where_a_token_is_new()
    {
        Assert.Empty(Offer(Over([], 1, 2, 3, 4)));
        Assert.Empty(Offer(new PromptLookup([])));
    }

    [Fact]
    public void No_more_is_offered_than_is_wanted()
    {
        PromptLookup lookup = Over([], [.. Enumerable.Repeat(1, 40)]);

        for (int most = 0; most <= 15; most++)
            Assert.InRange(lookup.Draft(_draft.AsSpan(0, most)), 0, most);
    }

    [Fact]
    public void Right_offers_grow_and_wrong_ones_shrink()
    {
        int[] period = [.. Enumerable.Range(0, 30)];
        PromptLookup right = Over([], [.. period, .. period]);
        int before = Offer(right).Length;
        foreach (int token in Enumerable.Repeat(period, 4).SelectMany(p => p))
        {
            Offer(right);
            right.Add(token);
        }

        // The same matches, but what follows each is always something else.
        PromptLookup wrong = Over([], [.. period, .. period]);
        for (int i = 0; i < 60; i++)
        {
            Offer(wrong);
            wrong.Add(1000 + i);
            wrong.AddText([1, 2, 3, 4, 5, 6, 7, 8, 9]);
        }

        Assert.True(Offer(right).Length > before, "Offers that were right have not grown.");
        // The token that fills the pair costs nothing and is always offered.
        Assert.Single(Offer(wrong));
    }

    [Fact]
    public void Offers_follow_from_the_tokens_alone()
    {
        Random random = new(5);
        int[] tokens = [.. Enumerable.Range(0, 400).Select(_ => random.Next(6))];
        PromptLookup first = new([1, 2, 3]);
        PromptLookup second = new([1, 2, 3]);
        foreach (int token in tokens)
        {
            first.Add(token);
            second.Add(token);

            Assert.Equal(Offer(first), Offer(second));
        }
    }

    private static PromptLookup Over(int[] known, params int[] tokens)
    {
        PromptLookup lookup = new(known);
        lookup.AddText(tokens);
        return lookup;
    }

    private int[] Offer(PromptLookup lookup) => [.. _draft.AsSpan(0, lookup.Draft(_draft))];
}
