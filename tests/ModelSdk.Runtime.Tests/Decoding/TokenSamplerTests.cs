using ModelSdk.Runtime.Decoding;

namespace ModelSdk.Runtime.Tests.Decoding;

public class TokenSamplerTests
{
    private static readonly float[] Logits = [1f, 3f, 2f, 3f, -5f, 0f];

    [Fact]
    public void Greedy_takes_the_highest_logit_and_the_lowest_id_on_a_tie() => Assert.Equal(1, new TokenSampler(SamplingOptions.Greedy).Choose(Logits));

    [Fact]
    public void Logits_that_are_not_numbers_are_reported() => Assert.Equal(-1, new TokenSampler(SamplingOptions.Greedy).Choose([1f, float.NaN, 2f]));

    [Fact]
    public void Frequencies_follow_the_softmax_at_the_temperature()
    {
        const double temperature = 0.7;
        double[] weights = [.. Logits.Select(l => Math.Exp(l / temperature))];

        AssertFrequencies(new SamplingOptions { Temperature = temperature, Seed = 5 }, [.. weights.Select(w => w / weights.Sum())]);
    }

    [Fact]
    public void Top_k_keeps_the_k_best()
    {
        double[] weights = [0, Math.Exp(3), Math.Exp(2), Math.Exp(3), 0, 0];

        AssertFrequencies(new SamplingOptions { Temperature = 1, TopK = 3, Seed = 6 }, [.. weights.Select(w => w / weights.Sum())]);
    }

    [Fact]
    public void Top_k_prefers_the_lower_id_on_a_tie() =>
        AssertFrequencies(new SamplingOptions { Temperature = 1, TopK = 1, Seed = 6 }, [0, 1, 0, 0, 0, 0]);

    [Fact]
    public void Top_p_keeps_the_token_that_reaches_p()
    {
        double[] all = [.. Logits.Select(l => Math.Exp(l))];
        // The two best hold about 0.78 of the mass; 0.8 needs the third as well.
        Assert.True((all[1] + all[3]) / all.Sum() is > 0.7 and < 0.8);

        double[] two = [0, 0.5, 0, 0.5, 0, 0];
        AssertFrequencies(new SamplingOptions { Temperature = 1, TopP = 0.7, Seed = 7 }, two);
        double[] three = [0, all[1], all[2], all[3], 0, 0];
        AssertFrequencies(new SamplingOptions { Temperature = 1, TopP = 0.8, Seed = 8 }, [.. three.Select(w => w / three.Sum())]);
    }

    [Fact]
    public void Top_p_applies_to_what_top_k_left()
    {
        // Of the three kept, the two best hold 0.84; of all six, 0.78.
        AssertFrequencies(new SamplingOptions { Temperature = 1, TopK = 3, TopP = 0.82, Seed = 9 }, [0, 0.5, 0, 0.5, 0, 0]);
    }

    [Theory]
    [InlineData(300, 200)]
    [InlineData(512, 20)]
    [InlineData(5000, 50)]
    public void Any_options_agree_with_sorting_everything(int vocabulary, int rounds)
    {
        Random random = new(1);
        for (int round = 0; round < rounds; round++)
        {
            float[] logits = [.. Enumerable.Range(0, vocabulary).Select(_ => MathF.Round((float)(random.NextDouble() * 12), 1))];
            double temperature = 0.3 + random.NextDouble();
            double topP = random.Next(3) == 0 ? 1 : 0.2 + 0.8 * random.NextDouble();
            int topK = random.Next(2) == 0 ? 0 : random.Next(2, 50);
            SamplingOptions options = new() { Temperature = temperature, TopP = topP, TopK = topK, Seed = round };
            TokenSampler sampler = new(options);
            Xoshiro256 reference = new(round);
            for (int draw = 0; draw < 5; draw++)
                Assert.Equal(Reference(logits, temperature, topP, topK, reference.NextDouble()), sampler.Choose(logits));
        }
    }

    [Fact]
    public void The_generator_gives_the_numbers_of_the_published_algorithm()
    {
        // xoshiro256** on the state that SplitMix64 makes of seed 0; computed with the authors' reference code in C.
        Xoshiro256 random = new(0);

        Assert.Equal([0x99EC5F36CB75F2B4, 0xBF6E1F784956452A, 0x1A5F849D4933E6E0], (ulong[])[random.Next(), random.Next(), random.Next()]);
    }

    private static int Reference(float[] logits, double temperature, double topP, int topK, double u)
    {
        float max = logits.Max();
        (int Id, double Weight)[] kept = [.. logits.Select((l, id) => (Id: id, Weight: Math.Exp((l - max) / temperature)))];
        if (topK > 0 || topP < 1)
            kept = [.. kept.OrderByDescending(t => logits[t.Id]).ThenBy(t => t.Id)];
        if (topK > 0)
            kept = kept[..topK];
        if (topP < 1)
        {
            double total = kept.Sum(t => t.Weight);
            double sum = 0;
            int count = 0;
            while (count < kept.Length && sum < topP * total)
                sum += kept[count++].Weight;
            kept = kept[..count];
        }

        double target = u * kept.Sum(t => t.Weight);
        double walked = 0;
        foreach ((int id, double weight) in kept)
        {
            walked += weight;
            if (walked > target)
                return id;
        }

        return kept[^1].Id;
    }

    private static void AssertFrequencies(SamplingOptions options, double[] expected)
    {
        const int draws = 20000;
        TokenSampler sampler = new(options);
        int[] counts = new int[expected.Length];
        for (int i = 0; i < draws; i++)
            counts[sampler.Choose(Logits)]++;
        for (int i = 0; i < expected.Length; i++)
        {
            // Five standard deviations.
            double deviation = 5 * Math.Sqrt(draws * expected[i] * (1 - expected[i]));
            Assert.InRange(counts[i], draws * expected[i] - deviation, draws * expected[i] + deviation);
        }
    }
}
